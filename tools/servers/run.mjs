// Starts a real server and runs a command with its PUSHER_URL. Without a command, runs the server until Ctrl-C. The server sends all
// kinds of webhooks to the URL, if there is one.
//
//   node tools/servers/run.mjs soketi build/e2e/trigger my-channel my-event '{}'
//   node tools/servers/run.mjs soketi --webhook http://127.0.0.1:8080/webhook build/release/chat

import { spawnSync } from 'node:child_process';
import { names, start } from './servers.mjs';

const [name, ...rest] = process.argv.slice(2);
const [, webhook] = rest[0] === '--webhook' ? rest.splice(0, 2) : [];
const [command, ...args] = rest;
if (!names.includes(name) || (webhook !== undefined && !URL.canParse(webhook)) || command?.startsWith('-')) {
  console.error(`usage: run.mjs ${names.join('|')} [--webhook URL] [COMMAND [ARGUMENT]...]`);
  process.exit(2);
}
const server = await start(name, { webhook });
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
