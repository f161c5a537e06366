// Publishes events to sockudo through a proxy that breaks exchanges: once with idempotency keys, once without. Compares each
// report with what a subscriber received.
//
//   node e2e/idempotency/run.mjs [--events N] [--seed N] [--write FILE]

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { app, showing, start } from '../../tools/servers/servers.mjs';
import { Subscriber } from '../../tools/servers/subscriber.mjs';
import { Client } from '../program.mjs';
import { Proxy, faults } from './proxy.mjs';

const { values: given } = parseArgs({
  options: { events: { type: 'string', default: '2400' }, seed: { type: 'string' }, write: { type: 'string' } },
});
const events = Number(given.events);
const seed = Number(given.seed ?? Math.floor(Math.random() * 1e9));

/** The share of the requests that are broken. */
const SHARE = 0.5;
const CALLERS = 8;
const BATCH = 6;
const channels = ['c0', 'c1', 'c2', 'c3'];
const channelOf = (n) => channels[n % channels.length];

// sockudo refuses some events because of their size, after it has claimed the key of the request, and never releases the claim.
const isLarge = (n) => n % 100 === 50;
const dataOf = (n) => (isLarge(n) ? `${n} ${'x'.repeat(12_000)}` : `${n}`);
const numberOf = (data) => parseInt(data, 10);

/** Returns [first, first + 1, …] up to `end`. */
const range = (first, end) => Array.from({ length: end - first }, (_, n) => first + n);

/** Runs `body` for each item, as many at once as there are clients. */
async function spread(clients, items, body) {
  const left = [...items];
  const work = async (client) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await body(client, item);
  };
  await Promise.all(clients.map(work));
}

/** Publishes `count` events by `clients`, and returns the delivery of each: a third by trigger, batch and publisher each. */
async function publish(clients, count) {
  const deliveries = new Array(count);
  const third = Math.floor(count / 3);
  const note = (numbers, { status, delivery }) => {
    for (const n of numbers) deliveries[n] = status === 'OK' ? 'delivered' : delivery;
  };
  await spread(clients, range(0, third), async (client, n) => {
    note([n], await client.call('trigger', channelOf(n), 'e', JSON.stringify(dataOf(n)), null));
  });
  const batches = range(0, Math.ceil(third / BATCH)).map((b) =>
    range(third + b * BATCH, Math.min(third + (b + 1) * BATCH, 2 * third)),
  );
  await spread(clients, batches, async (client, numbers) => {
    const batch = numbers.map((n) => ({ channel: channelOf(n), name: 'e', data: dataOf(n) }));
    note(numbers, await client.call('trigger_batch', batch, null));
  });
  const [client] = clients;
  await client.ok('publisher_new', {
    reports: 'all',
    max_reports: count,
    connections: 4,
    max_batch_events: BATCH,
    linger_ms: 0,
  });
  const ids = new Map();
  for (const n of range(2 * third, count)) {
    ids.set(await client.ok('publisher_publish', channelOf(n), 'e', JSON.stringify(dataOf(n)), null), n);
    // The queue does not fill up, so that there are many requests.
    if (n % 4 === 0) await sleep(5);
  }
  while (ids.size > 0) {
    const { document } = await client.call('publisher_poll');
    if (!document) await sleep(20);
    for (const { id, delivery } of document?.reports ?? []) {
      deliveries[ids.get(id)] = delivery;
      assert.ok(ids.delete(id), `event ${id} is reported twice`);
    }
  }
  return deliveries;
}

/** Returns the events of a request. */
function numbersOf(body) {
  const posted = JSON.parse(body);
  return (posted.batch ?? [posted]).map(({ data }) => numberOf(data));
}

/** One run. Returns the figures. */
async function run(server, title, config) {
  const proxy = await Proxy.start({ host: server.host, port: server.port }, { seed, share: SHARE });
  const subscriber = await Subscriber.connect(server, channels);
  const base = {
    app_id: app.id,
    key: app.key,
    secret: app.secret,
    host: '127.0.0.1',
    ssl: false,
    max_data_bytes: 20_000,
  };
  const faulty = { ...base, port: proxy.port, timeout_ms: 30_000, attempt_timeout_ms: 1000, ...config };
  const clients = range(0, CALLERS).map(() => new Client(faulty));
  const direct = new Client({ ...base, port: server.port, retry: { mode: 'never' } });
  try {
    const started = Date.now();
    const deliveries = await publish(clients, events);
    const seconds = (Date.now() - started) / 1000;
    // What sockudo still works on arrives later.
    await sleep(1000);
    for (const channel of channels) await direct.ok('trigger', channel, 'end', '0', null);
    await subscriber.wait('end', channels.length);
    const received = new Array(events).fill(0);
    for (const { raw } of subscriber.of('e')) received[numberOf(raw)]++;
    const figures = {
      title,
      seconds,
      events,
      requests: proxy.requests.size,
      attempts: 0,
      broken: 0,
      counts: proxy.counts,
    };
    for (const record of proxy.requests.values()) {
      figures.attempts += record.faults.length;
      figures.broken += record.faults.filter(Boolean).length;
    }
    const count = (holds) => range(0, events).filter(holds).length;
    for (const end of ['delivered', 'not_sent', 'rejected', 'unknown'])
      figures[end] = count((n) => deliveries[n] === end);
    figures.received = count((n) => received[n] > 0);
    figures.doubled = count((n) => received[n] > 1);
    figures.false = count((n) => (deliveries[n] === 'delivered') !== received[n] > 0 && deliveries[n] !== 'unknown');
    figures.unknownReceived = count((n) => deliveries[n] === 'unknown' && received[n] > 0);
    figures.cuts = Object.fromEntries(proxy.cuts);
    figures.stuck = await stuck(direct, proxy, deliveries);
    return figures;
  } finally {
    await subscriber.close();
    await Promise.all([...clients, direct].map((client) => client.stop()));
    await proxy.stop();
  }
}

/** Returns how many `unknown` events belong to requests whose claim sockudo has not released: asked again without a fault,
 * it answers that the request is in progress. */
async function stuck(direct, proxy, deliveries) {
  let events = 0;
  for (const [body, { key, path }] of proxy.requests) {
    const numbers = numbersOf(body);
    if (!key || numbers.every((n) => deliveries[n] !== 'unknown')) continue;
    const posted = JSON.parse(body);
    const options = { idempotency_key: key };
    const again = path.endsWith('/batch_events')
      ? await direct.call('trigger_batch', posted.batch, options)
      : await direct.call('trigger', posted.channels, posted.name, JSON.stringify(posted.data), options);
    if (again.document?.error?.http_status === 503) events += numbers.length;
  }
  return events;
}

console.log(`seed ${seed}`);
const server = await start('sockudo');
await showing(server, async () => {
  const retry = { mode: 'safe', max_attempts: 8, ratio: 1 };
  const keyed = await run(server, 'with keys', { server: 'sockudo', server_deduplicates: true, retry });
  const plain = await run(server, 'without keys', { server: 'sockudo', idempotency: 'off', retry });
  for (const figures of [keyed, plain]) console.log(JSON.stringify(figures));
  const table = report(keyed, plain);
  console.log(table);
  if (given.write) writeFileSync(given.write, table);
  for (const figures of [keyed, plain]) {
    assert.equal(figures.doubled, 0, `${figures.title}: events were doubled`);
    assert.equal(figures.false, 0, `${figures.title}: a report is false`);
    assert.equal(figures.delivered + figures.unknownReceived, figures.received, figures.title);
    assert.equal(figures.delivered + figures.rejected + figures.unknown, figures.events, figures.title);
  }
  assert.ok(keyed.stuck > 0, 'some claims are stuck');
  assert.equal(keyed.unknown, keyed.stuck, 'each event that stays unknown belongs to a claim that sockudo left stuck');
  assert.ok(plain.unknown > events / 5, 'the faults are real');
  // A short run has too few.
  if (events >= 2000)
    for (const name of Object.keys(faults)) assert.ok(keyed.counts[name] > 0, `${name} did not occur`);
  const covers = ([length, cuts]) => cuts > Number(length);
  if (events >= 2000) assert.ok(Object.entries(keyed.cuts).some(covers), 'no response is cut after each of its bytes');
}).finally(() => server.stop());

/** Returns the table of docs/delivery.md. */
function report(keyed, plain) {
  const row = (title, of) => `| ${title} | ${of(keyed)} | ${of(plain)} |`;
  return [
    '| | with keys | without keys |',
    '|---|---|---|',
    row('events', (run) => run.events),
    row('requests, and their attempts', (run) => `${run.requests}, ${run.attempts}`),
    row('broken attempts', (run) => run.broken),
    row('reported `delivered`', (run) => run.delivered),
    row('received by the subscriber', (run) => run.received),
    row('received twice', (run) => run.doubled),
    row('`delivered` and not received', (run) => run.false),
    row('`rejected`: the event is too large', (run) => run.rejected),
    row('`unknown`', (run) => run.unknown),
    row('of these, received', (run) => run.unknownReceived),
    row('of these, with a claim that sockudo did not release', (run) => (run === keyed ? run.stuck : '')),
    '',
  ].join('\n');
}
