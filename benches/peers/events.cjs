// Publishes events with the official library for Node.js, as benches/events.py tells it to.

const { Agent } = require('node:http');
const { createInterface } = require('node:readline');
const Pusher = require('pusher');

const value = (name) => process.env[`EVENTS_${name}`];
const client = new Pusher({
  appId: value('APP_ID'),
  key: value('KEY'),
  secret: value('SECRET'),
  host: '127.0.0.1',
  port: process.argv[2],
  useTLS: false,
  // Without the agent each request opens a connection, which is several times slower.
  agent: new Agent({ keepAlive: true }),
});
const [channel, name, data] = ['CHANNEL', 'EVENT', 'DATA'].map(value);

const ways = {
  trigger: async () => {
    await (await client.trigger(channel, name, data)).text();
    return 1;
  },
  batch: async () => {
    await (await client.triggerBatch(Array.from({ length: 10 }, () => ({ channel, name, data })))).text();
    return 10;
  },
};

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const [kind, atOnce, seconds] = line.split(' ');
    const start = performance.now();
    const cpu = process.cpuUsage();
    const until = start + 1000 * Number(seconds);
    const publish = async () => {
      let events = 0;
      while (performance.now() < until) events += await ways[kind]();
      return events;
    };
    const counts = await Promise.all(Array.from({ length: Number(atOnce) }, publish));
    const { user, system } = process.cpuUsage(cpu);
    console.log(
      counts.reduce((sum, count) => sum + count),
      (performance.now() - start) / 1000,
      (user + system) / 1e6,
    );
  }
})();
