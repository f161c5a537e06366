// The demonstration: the C program triggers an event, and a subscriber of a real server receives it.
//
//   TRIGGER=build/demo/trigger node demo.mjs SERVER CHANNEL EVENT DATA

import { spawnSync } from 'node:child_process';
import { start } from './servers.mjs';
import { Subscriber } from './subscriber.mjs';

const [name, channel, event, data] = process.argv.slice(2);

/** Prints the title of a step, runs it, and prints its duration. */
async function step(what, body) {
  const begin = performance.now();
  console.log(`== ${what}`);
  const result = await body();
  console.log(`   ok (${((performance.now() - begin) / 1000).toFixed(2)} s)`);
  return result;
}

let server;
let subscriber;
try {
  server = await step(`start ${name}, a Channels server`, async () => {
    const started = await start(name);
    console.log(`   listening on ${started.host}:${started.port}`);
    return started;
  });
  subscriber = await step(`subscribe to ${channel} with pusher-js`, () => Subscriber.connect(server, [channel]));
  await step('trigger the event with the C program', () => {
    console.log(`   $ trigger ${channel} ${event} '${data}'`);
    const { status, stdout, stderr, error } = spawnSync(process.env.TRIGGER, [channel, event, data], {
      env: { ...process.env, PUSHER_URL: server.url },
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (error || status !== 0) throw new Error(stderr || error);
    console.log(`   the result: ${stdout.trim()}`);
  });
  await step('print the event that the subscriber received', async () => {
    const [got] = await subscriber.wait(event);
    console.log(`   event ${got.event} on channel ${got.channel}, data: ${got.raw}`);
  });
} catch (error) {
  console.error(`${error.message ?? error}\n${server?.log() ?? ''}`);
  process.exitCode = 1;
} finally {
  await subscriber?.close();
  await server?.stop();
}
