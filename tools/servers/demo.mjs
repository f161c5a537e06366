// The subscriber of the demonstration: starts a real server, subscribes with pusher-js, and prints the event that arrives.
//
//   node demo.mjs SERVER CHANNEL EVENT
//
// The first line on standard output is the URL for PUSHER_URL, once the subscription is complete; the event's two lines follow,
// as recorder.py prints them. It then runs until it is terminated.

import { start } from './servers.mjs';
import { Subscriber } from './subscriber.mjs';

const [name, channel, event] = process.argv.slice(2);
const server = await start(name);
try {
  const subscriber = await Subscriber.connect(server, [channel]);
  console.log(server.url);
  const [got] = await subscriber.wait(event);
  console.log(`${got.event} on ${got.channel}\n${got.raw}`);
  // The sender still waits for the server's response.
  console.error(await server.ended);
} catch (error) {
  console.error(`${error.message ?? error}\n${server.log()}`);
  await server.stop();
  process.exit(1);
}
