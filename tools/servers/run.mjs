// Starts a real server and runs a command with its PUSHER_URL. Without a command, runs the server until Ctrl-C.
//
//   node tools/servers/run.mjs soketi build/e2e/trigger my-channel my-event '{}'

import { spawnSync } from 'node:child_process';
import { names, start } from './servers.mjs';

const [name, command, ...args] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`usage: run.mjs ${names.join('|')} [COMMAND [ARGUMENT]...]`);
  process.exit(2);
}
const server = await start(name);
if (command) {
  const env = { ...process.env, PUSHER_URL: server.url };
  const { status, error } = spawnSync(command, args, { env, stdio: 'inherit' });
  if (error) console.error(error.message);
  await server.stop();
  process.exitCode = status ?? 1;
} else {
  console.log(`PUSHER_URL=${server.url}`);
  console.error(`${name} exited: ${await server.ended}`);
  process.exitCode = 1;
}
