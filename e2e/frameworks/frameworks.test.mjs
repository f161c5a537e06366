// Runs each application of this folder with soketi, pusher-js and real webhooks: README.md says what an application does.
//
// FRAMEWORKS has the names, with spaces between them; scripts/frameworks.sh has prepared them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { app, freePorts, showing, start } from '../../tools/servers/servers.mjs';
import { Subscriber, within } from '../../tools/servers/subscriber.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const timeout = 60_000;
const defaults = { auth: '/pusher/auth', userAuth: '/pusher/user-auth', webhook: '/pusher/webhook', outage: 503 };
const SHELL = '. scripts/lib.sh && . "e2e/frameworks/$1/app.sh" && serve';

const running = new Set();
process.on('exit', () => running.forEach((application) => application.kill('SIGKILL')));

/** A running application. */
class Application {
  #child;
  #ended;
  #output = '';

  constructor(name, port, server, state) {
    this.address = `http://127.0.0.1:${port}`;
    const settings = {
      PORT: port,
      STATE: state,
      PUSHER_APP_ID: app.id,
      PUSHER_APP_KEY: app.key,
      PUSHER_APP_SECRET: app.secret,
      PUSHER_HOST: server.host,
      PUSHER_PORT: server.port,
      PUSHER_SCHEME: 'http',
    };
    // A group of its own, so that what it starts ends, too.
    this.#child = spawn('bash', ['-c', SHELL, 'bash', name], {
      cwd: root,
      env: { ...process.env, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(this);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#output = (this.#output + text).slice(-32_768);
      });
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ?? code));
    });
  }

  log() {
    return `--- the application:\n${this.#output}---`;
  }

  /** Sends a request and returns { status, text }. */
  async request(method, path, { form, body, headers = {}, user } = {}) {
    const response = await fetch(this.address + path, {
      method,
      redirect: 'manual',
      headers: { ...headers, ...(user && { Authorization: `Bearer ${user}` }) },
      body: form ? new URLSearchParams(form) : body,
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, text: await response.text() };
  }

  async post(path, form, user) {
    return this.request('POST', path, { form, user });
  }

  async ready() {
    let end;
    this.#ended.then((how) => {
      end = how;
    });
    const deadline = Date.now() + 30_000;
    for (;;) {
      const up = await this.request('GET', '/up').catch(() => undefined);
      if (up?.status === 200) return;
      if (end !== undefined) throw new Error(`it ended: ${end}`);
      if (Date.now() > deadline) throw new Error(`it does not serve: ${JSON.stringify(up)}`);
      await sleep(50);
    }
  }

  kill(signal) {
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // It has ended.
    }
  }

  /** Ends it as a supervisor does. */
  async stop() {
    this.#child.kill('SIGTERM');
    const end = await within(10_000, () => 'it ignores SIGTERM', this.#ended).finally(() => this.kill('SIGKILL'));
    running.delete(this);
    assert.ok([0, 143, 'SIGTERM'].includes(end), `it ended with ${end}`);
  }
}

/** Polls until `find` returns something. */
async function eventually(what, find) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await find();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`no ${what}`);
    await sleep(50);
  }
}

for (const name of process.env.FRAMEWORKS.split(' ')) {
  describe(name, () => {
    const own = join(here, name, 'app.json');
    const paths = { ...defaults, ...(existsSync(own) && JSON.parse(readFileSync(own, 'utf8'))) };
    const folder = mkdtempSync(join(tmpdir(), `libpusher-${name}-`));
    let server;
    let application;
    let alice;

    before(
      async () => {
        const [port] = await freePorts(1);
        server = await start('soketi', { webhook: `http://127.0.0.1:${port}${paths.webhook}` });
        application = new Application(name, port, server, join(folder, 'state'));
        await application.ready().catch((error) => {
          throw new Error(`${error.message}\n${application.log()}`);
        });
        alice = await connect('alice');
      },
      { timeout },
    );

    after(async () => {
      await alice?.close();
      await application?.stop();
      await server?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const connect = (token) => Subscriber.connect(server, [], { authorizer: application.address, token, paths });
    const test = (title, body, skip = false) =>
      it(title, { timeout, skip }, () =>
        showing(server, () =>
          body().catch((error) => {
            console.error(application.log());
            throw error;
          }),
        ),
      );

    test('authorizes private and presence channels for its users, and nobody else', async () => {
      await alice.subscribe(['private-orders', 'presence-shop']);
      const { members } = alice.pusher.channel('presence-shop');
      assert.deepEqual(members.me, { id: 'alice', info: { name: 'alice' } });
      const form = { socket_id: alice.socketId, channel_name: 'private-orders' };
      assert.equal((await application.post(paths.auth, form)).status, 403);
    });

    test('publishes an event to all but the sender', async () => {
      const bob = await connect('bob');
      try {
        await bob.subscribe(['private-orders']);
        await alice.subscribe(['private-orders']);
        const first = await application.post('/orders', { id: '7', socket_id: bob.socketId });
        assert.equal(first.status, 200, first.text);
        assert.equal((await application.post('/orders', { id: '8' })).status, 200);
        const got = async (subscriber, count) =>
          (await subscriber.wait('order-created', count)).map(({ channel, value }) => [channel, `${value.id}`]);
        assert.deepEqual(await got(alice, 2), [
          ['private-orders', '7'],
          ['private-orders', '8'],
        ]);
        assert.deepEqual(await got(bob, 1), [['private-orders', '8']]);
      } finally {
        await bob.close();
      }
    });

    test(
      'signs its users in, and nobody else',
      async () => {
        assert.equal((await alice.signIn()).id, 'alice');
        assert.equal((await application.post(paths.userAuth, { socket_id: alice.socketId })).status, 403);
      },
      paths.userAuth === null,
    );

    test('takes the webhooks of the server, and refuses forged ones', async () => {
      await alice.subscribe(['private-hook']);
      const stored = async () => JSON.parse((await application.request('GET', '/webhooks')).text);
      const about = (channel) => async () =>
        (await stored()).find((event) => event.name === 'channel_occupied' && event.channel === channel);
      await eventually('webhook of private-hook', about('private-hook'));
      const body = JSON.stringify({ time_ms: Date.now(), events: [{ name: 'channel_occupied', channel: 'forged' }] });
      const signature = (secret) => createHmac('sha256', secret).update(body).digest('hex');
      const send = (headers) =>
        application.request('POST', paths.webhook, {
          body,
          headers: { 'Content-Type': 'application/json', ...headers },
        });
      const forged = { 'X-Pusher-Key': app.key, 'X-Pusher-Signature': signature('wrong-secret') };
      assert.equal((await send(forged)).status, 401);
      assert.equal((await send({})).status, 401);
      assert.equal(await about('forged')(), undefined);
      assert.equal((await send({ ...forged, 'X-Pusher-Signature': signature(app.secret) })).status, 200);
      assert.ok(await about('forged')());
    });

    test('says what happened to an event when the server is gone', async () => {
      await server.stop();
      const { status, text } = await application.post('/orders', { id: '9' });
      assert.equal(status, paths.outage, text);
      if (paths.outage === 503) assert.deepEqual(JSON.parse(text), { delivery: 'not_sent' });
    });
  });
}

/** The blocks of code of a page, each with its language. */
function* blocks(page) {
  for (const [, language, code] of page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)) yield { language, code };
}

describe('docs/frameworks.md', () => {
  const files = (folder) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? files(path) : [readFileSync(path, 'utf8')];
    });
  const texts = files(here);

  for (const { language, code } of blocks(readFileSync(join(root, 'docs', 'frameworks.md'), 'utf8'))) {
    const title = code.split('\n').find((line) => line.trim());
    it(`has an excerpt of an application: ${language}, ${title}`, () => {
      assert.ok(
        texts.some((text) => text.includes(code)),
        `no file below e2e/frameworks has these lines:\n${code}`,
      );
    });
  }
});
