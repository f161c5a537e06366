// Starts real Channels servers for tests: on free ports of 127.0.0.1, in an empty folder, with an empty environment.
//
//   const server = await start('soketi');   // or 'sockudo'; downloaded or compiled if it is not in the cache
//   const server = await start('soketi', { webhook: 'http://127.0.0.1:8081/', redis: 6379 });
//   server.url                              // for PUSHER_URL
//   await server.stop();
//
// The servers end with this process.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** The application in the configuration of both servers. */
export const app = { id: '100001', key: 'test-key', secret: 'test-secret' };

/** All kinds of webhooks. */
export const webhookKinds = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
];

// The configuration of each server, with free ports and the options of start():
//   webhook     the URL for all kinds of webhooks
//   redis       the port of a Redis on 127.0.0.1, for the shared state of several nodes
//   rateLimit   sockudo: requests per minute
//   grace       sockudo: the seconds between SIGTERM and its exit, in which it refuses requests
const kinds = {
  sockudo: {
    health: '/up',
    command: ([program], config) => [program, '--config', config],
    configure(config, [port], { webhook, redis, rateLimit, grace = 1 }) {
      const webhooks = webhook ? [{ url: webhook, event_types: webhookKinds }] : [];
      config.app_manager.array.apps[0].policy.webhooks = webhooks;
      if (rateLimit) {
        const api_rate_limit = { max_requests: rateLimit, window_seconds: 60 };
        config.rate_limiter = { enabled: true, driver: 'memory', api_rate_limit };
      }
      if (redis) {
        const shared = { prefix: 'test:', requests_timeout: 5000, cluster_mode: false };
        config.adapter = { driver: 'redis', fallback_to_local: false, redis: shared };
        config.cache = { driver: 'redis', redis: { prefix: 'cache:' } };
        config.database = { redis: { host: '127.0.0.1', port: redis, db: 0, key_prefix: 'test:' } };
      }
      return { ...config, port, shutdown_grace_period: grace };
    },
  },
  soketi: {
    health: '/',
    command: ([node, script], config) => [node, script, 'start', `--config=${config}`],
    configure(config, [port, metrics], { webhook, redis }) {
      const webhooks = webhook ? [{ url: webhook, event_types: webhookKinds }] : [];
      config['appManager.array.apps'][0].webhooks = webhooks;
      if (redis) {
        Object.assign(config, {
          'adapter.driver': 'redis',
          'database.redis.host': '127.0.0.1',
          'database.redis.port': redis,
        });
      }
      // soketi listens on its metrics port even if metrics are off.
      return { ...config, port, 'metrics.port': metrics };
    },
  },
};

/** The names of the servers that can be started. */
export const names = Object.keys(kinds);

/** Runs tools/servers/get-WHAT.sh, which installs its files, and returns the paths that it prints. */
export function fetched(what) {
  const options = { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' };
  return execFileSync(join(here, `get-${what}.sh`), options)
    .trim()
    .split('\n');
}

/** Starts a server, waits until it is healthy, and returns { name, url, host, port, pid, log(), drain(), stop() }. */
export async function start(name, wishes = {}) {
  const { health, command, configure } = kinds[name];
  const paths = fetched(name);
  const template = readFileSync(join(here, `${name}.json`), 'utf8');
  return persist(
    name,
    async (folder, ports) => {
      const config = join(folder, `${name}.json`);
      writeFileSync(config, JSON.stringify(configure(JSON.parse(template), ports, wishes)));
      return command(paths, config);
    },
    (port) => answers(port, health),
  );
}

/** Starts a Redis server without persistence, through which nodes of a server share their state. */
export function startRedis() {
  const command = ([port]) => [
    'redis-server',
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
  ];
  return persist('redis', async (folder, ports) => command(ports), accepts);
}

/** Starts the command that `prepare(folder, ports)` returns, and waits for `healthy(port)`. */
async function persist(name, prepare, healthy) {
  // Another process may take a free port before the server listens on it.
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), `libpusher-${name}-`));
    const ports = await freePorts(2);
    const server = launch(name, folder, ports[0], await prepare(folder, ports));
    try {
      await ready(server, healthy);
      return server;
    } catch (error) {
      await server.stop();
      if (attempt === 3) {
        throw new Error(`${name} did not start: ${error.message}\n${server.log()}`);
      }
    }
  }
}

const running = new Set();
process.on('exit', () => running.forEach((server) => server.abandon()));
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
]) {
  process.once(signal, () => process.exit(128 + number));
}

function launch(name, folder, port, commandLine) {
  // If this process is killed and cannot clean up, the kernel kills the server. (setpriv keeps the pid.)
  const leash = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];
  const [command, ...args] = [...leash, ...commandLine];
  // Both servers read settings from the environment.
  const env = { PATH: process.env.PATH, HOME: folder, RUST_LOG: 'warn' };
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });

  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log = (log + text).slice(-64 * 1024);
    });
  }
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it exited with ${signal ?? `exit code ${code}`}`));
  });
  const cleanUp = () => {
    running.delete(server);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const server = {
    name,
    host: '127.0.0.1',
    port,
    url: `http://${app.key}:${app.secret}@127.0.0.1:${port}/apps/${app.id}`,
    pid: child.pid,
    ended,
    /** Returns the end of its log, without colours. */
    log: () =>
      `--- the log of ${name}:\n${log
        .replace(/\x1b\[[0-9;]*m/g, '')
        .split('\n')
        .slice(-30)
        .join('\n')}---`,
    /** Asks the server to drain and exit. */
    drain() {
      child.kill('SIGTERM');
    },
    /** Kills the server: it has nothing to save. */
    async stop() {
      child.kill('SIGKILL');
      await ended;
      cleanUp();
    },
    /** Kills the server without waiting, for the exit handler. */
    abandon() {
      child.kill('SIGKILL');
      cleanUp();
    },
  };
  running.add(server);
  return server;
}

/** Waits until the server responds. Checks that it is this server, and that only this machine can reach it. */
async function ready(server, isHealthy) {
  const deadline = Date.now() + 30_000;
  let end;
  server.ended.then((how) => {
    end = how;
  });
  for (;;) {
    const healthy = await isHealthy(server.port);
    // If sockudo cannot read its configuration, it only logs that, and listens on all addresses.
    const listening = listeners(server.pid);
    if (listening?.some((address) => !address.startsWith('127.0.0.1:'))) throw new Error(`it listens on ${listening}`);
    if (healthy && (!listening || listening.includes(`127.0.0.1:${server.port}`))) return;
    if (end) throw new Error(end);
    if (Date.now() > deadline) throw new Error('it did not respond within 30 s');
    await sleep(25);
  }
}

function answers(port, path) {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Returns the addresses on which a process listens, as "127.0.0.1:6001"; undefined if /proc does not show them. */
function listeners(pid) {
  let mine;
  try {
    mine = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return undefined;
  }
  const found = [];
  for (const table of ['tcp', 'tcp6']) {
    if (!existsSync(`/proc/${pid}/net/${table}`)) continue;
    for (const line of readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state !== '0A' || !mine.has(`socket:[${inode}]`)) continue;
      const [address, port] = local.split(':');
      // An IPv4 address is a number in the machine's byte order. IPv6 addresses are not expected and stay unparsed.
      const host = address === '0100007F' ? '127.0.0.1' : `[${address}]`;
      found.push(`${host}:${parseInt(port, 16)}`);
    }
  }
  return found;
}

function linkOf(path) {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

/** Returns ports on which nothing listens at the moment. */
export async function freePorts(count) {
  const held = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const listener = createServer().once('error', reject);
          listener.listen(0, '127.0.0.1', () => resolve(listener));
        }),
    ),
  );
  const ports = held.map((listener) => listener.address().port);
  await Promise.all(held.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}

/** Runs `body`, and prints the log of the server if `body` fails. */
export async function showing(server, body) {
  try {
    await body();
  } catch (error) {
    console.error(server.log());
    throw error;
  }
}
