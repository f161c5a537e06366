// Starts real Channels servers for tests: on free ports of 127.0.0.1, in an empty folder, with an empty environment.
//
//   const server = await start('soketi');   // or 'sockudo'; downloaded or compiled if it isn't in the cache
//   server.url                              // for PUSHER_URL
//   await server.stop();
//
// Whatever ends this process ends its servers too.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** The application that both servers are configured with. */
export const app = { id: '100001', key: 'test-key', secret: 'test-secret' };

const kinds = {
  sockudo: {
    health: '/up',
    command: ([program], config) => [program, '--config', config],
    setPorts: (config, [port]) => ({ ...config, port }),
  },
  soketi: {
    health: '/',
    command: ([node, script], config) => [node, script, 'start', `--config=${config}`],
    // It listens on its metrics port even when metrics are off.
    setPorts: (config, [port, metrics]) => ({ ...config, port, 'metrics.port': metrics }),
  },
};

/** The names of the servers that can be started. */
export const names = Object.keys(kinds);

/** The paths that tests/servers/get-WHAT.sh prints, once they are there. */
export function fetched(what) {
  const options = { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' };
  return execFileSync(join(here, `get-${what}.sh`), options).trim().split('\n');
}

/** Starts a server, waits until it is healthy, and returns { name, url, host, port, pid, log(), stop() }. */
export async function start(name) {
  const paths = fetched(name);
  // Between finding free ports and listening on them somebody else may take one.
  for (let attempt = 1; ; attempt++) {
    const server = launch(name, paths, await freePorts(2));
    try {
      await ready(server, kinds[name].health);
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
for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]]) {
  process.once(signal, () => process.exit(128 + number));
}

function launch(name, paths, ports) {
  const folder = mkdtempSync(join(tmpdir(), `libpusher-${name}-`));
  const config = join(folder, `${name}.json`);
  const template = JSON.parse(readFileSync(join(here, `${name}.json`), 'utf8'));
  writeFileSync(config, JSON.stringify(kinds[name].setPorts(template, ports)));

  // If this process is killed without a chance to clean up, the kernel ends the server. (setpriv keeps the pid.)
  const leash = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];
  const [command, ...args] = [...leash, ...kinds[name].command(paths, config)];
  // Both servers would take settings from the environment.
  const env = { PATH: process.env.PATH, HOME: folder, RUST_LOG: 'warn' };
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });

  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => { log = (log + text).slice(-64 * 1024); });
  }
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `exit code ${code}`}`));
  });
  const cleanUp = () => {
    running.delete(server);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const server = {
    name,
    host: '127.0.0.1',
    port: ports[0],
    url: `http://${app.key}:${app.secret}@127.0.0.1:${ports[0]}/apps/${app.id}`,
    pid: child.pid,
    ended,
    /** The end of what it has logged, without colours. */
    log: () => `--- the log of ${name}:\n${log.replace(/\x1b\[[0-9;]*m/g, '').split('\n').slice(-30).join('\n')}---`,
    /** Ends it at once: it has nothing to save. */
    async stop() {
      child.kill('SIGKILL');
      await ended;
      cleanUp();
    },
    /** The same where nothing can be waited for. */
    abandon() {
      child.kill('SIGKILL');
      cleanUp();
    },
  };
  running.add(server);
  return server;
}

/** Waits until the server answers, and makes sure that it is this one, and that only this machine can reach it. */
async function ready(server, path) {
  const deadline = Date.now() + 30_000;
  let end;
  server.ended.then((how) => { end = how; });
  for (;;) {
    const healthy = await answers(server.port, path);
    // sockudo only logs that it can't read its configuration, and then listens on all addresses.
    const listening = listeners(server.pid);
    if (listening?.some((address) => !address.startsWith('127.0.0.1:'))) throw new Error(`it listens on ${listening}`);
    if (healthy && (!listening || listening.includes(`127.0.0.1:${server.port}`))) return;
    if (end) throw new Error(end);
    if (Date.now() > deadline) throw new Error('it did not answer within 30 s');
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

/** What a process listens on, as "127.0.0.1:6001"; undefined where /proc doesn't tell. */
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
      // An IPv4 address is a number in the machine's byte order; no IPv6 address is wanted, so that stays as it is.
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
    return ''; // closed since
  }
}

async function freePorts(count) {
  const held = await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const listener = createServer().once('error', reject);
    listener.listen(0, '127.0.0.1', () => resolve(listener));
  })));
  const ports = held.map((listener) => listener.address().port);
  await Promise.all(held.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}
