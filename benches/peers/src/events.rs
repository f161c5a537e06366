//! Publishes events with the crates `pushers` and `sockudo-http`, as benches/events.py tells it to.

use std::env;
use std::error::Error;
use std::io::{BufRead, stdin};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::task::JoinSet;

const BATCH: usize = 10;

/// The event that all contenders publish.
#[derive(Clone)]
struct What {
    channel: String,
    event: String,
    data: String,
    is_batch: bool,
}

enum Client {
    Pushers(pushers::Pusher),
    Sockudo(sockudo_http::Sockudo),
}

impl Client {
    fn new(name: &str, port: u16) -> Result<Client, Box<dyn Error>> {
        let [id, key, secret] = ["EVENTS_APP_ID", "EVENTS_KEY", "EVENTS_SECRET"].map(|name| env::var(name).expect(name));
        Ok(if name == "pushers" {
            let config = pushers::Config::builder().app_id(id).key(key).secret(secret);
            Client::Pushers(pushers::Pusher::new(config.host("127.0.0.1").port(port).use_tls(false).build()?)?)
        } else {
            let config = sockudo_http::Config::builder().app_id(id).key(key).secret(secret);
            Client::Sockudo(sockudo_http::Sockudo::new(config.host("127.0.0.1").port(port).use_tls(false).build()?)?)
        })
    }

    /// Sends one request and reads the response, which returns the connection to the pool.
    async fn once(&self, what: &What) -> Result<(), Box<dyn Error + Send + Sync>> {
        let What { channel, event, data, is_batch } = what;
        match self {
            Client::Pushers(client) => {
                let data = || pushers::events::EventData::String(data.clone());
                let answer = if *is_batch {
                    let event = |_| pushers::events::BatchEvent::new(event.as_str(), channel.as_str(), data());
                    client.trigger_batch((0..BATCH).map(event).collect()).await?
                } else {
                    client.trigger(&[pushers::Channel::from_string(channel.as_str())?], event, data(), None).await?
                };
                answer.error_for_status()?.bytes().await?;
            }
            Client::Sockudo(client) => {
                let data = || sockudo_http::events::EventData::String(data.clone());
                let answer = if *is_batch {
                    let event = |_| sockudo_http::events::BatchEvent::new(event.as_str(), channel.as_str(), data());
                    client.trigger_batch((0..BATCH).map(event).collect()).await?
                } else {
                    client.trigger(&[sockudo_http::Channel::from_string(channel.as_str())?], event, data(), None).await?
                };
                answer.error_for_status()?.bytes().await?;
            }
        }
        Ok(())
    }
}

/// Sends requests from this number of tasks, and returns how many.
async fn publish(client: Arc<Client>, what: What, at_once: usize, time: Duration) -> usize {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (client, what) = (Arc::clone(&client), what.clone());
        tasks.spawn(async move {
            let mut count = 0;
            while Instant::now() < until {
                client.once(&what).await.expect("an answer");
                count += 1;
            }
            count
        });
    }
    tasks.join_all().await.into_iter().sum()
}

fn cpu_seconds() -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call fills the structure, and cannot fail with these arguments.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).ok_or("pushers or sockudo-http")?;
    let client = Arc::new(Client::new(&name, env::args().nth(2).ok_or("a port")?.parse()?)?);
    let (channel, event) = (env::var("EVENTS_CHANNEL")?, env::var("EVENTS_EVENT")?);
    let what = What { channel, event, data: env::var("EVENTS_DATA")?, is_batch: false };
    // One task is fastest without other threads.
    let single = runtime::Builder::new_current_thread().enable_all().build()?;
    let several = runtime::Builder::new_multi_thread().enable_all().build()?;
    for line in stdin().lock().lines() {
        let line = line?;
        let [kind, at_once, seconds] = line.split(' ').collect::<Vec<_>>()[..] else { return Err(line.into()) };
        let what = What { is_batch: kind == "batch", ..what.clone() };
        let (at_once, time) = (at_once.parse()?, Duration::from_secs_f64(seconds.parse()?));
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let runtime = if at_once == 1 { &single } else { &several };
        let requests = runtime.block_on(publish(Arc::clone(&client), what.clone(), at_once, time));
        let events = if what.is_batch { BATCH } else { 1 } * requests;
        println!("{events} {} {}", start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    }
    Ok(())
}
