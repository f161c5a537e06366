// Starts a real server, subscribes with pusher-js, and prints each event that arrives, until it is terminated.
//
//   node listen.mjs SERVER CHANNEL
//
// The first line on standard output is `export PUSHER_URL=URL`, once the subscription is complete. An event has two lines: its name and
// channel, and its data as the server sent it.

import { start } from './servers.mjs';
import { Subscriber } from './subscriber.mjs';

const [name, channel] = process.argv.slice(2);
const server = await start(name);
try {
  const subscriber = await Subscriber.connect(server, [channel]);
  console.log(`export PUSHER_URL=${server.url}`);
  setInterval(() => {
    for (const got of subscriber.received.splice(0)) console.log(`${got.event} on ${got.channel}\n${got.raw}`);
  }, 20);
  throw new Error(`${name} exited: ${await server.ended}`);
} catch (error) {
  console.error(`${error.message}\n${server.log()}`);
  await server.stop();
  process.exit(1);
}
