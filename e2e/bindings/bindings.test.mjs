// Tests every binding with a real server: pusher-js receives its events and uses its signatures, and it accepts the
// server's webhooks.
//
// This folder has one program per language, written as a user of the binding would write it. The program reads PUSHER_URL and
// MASTER_KEY (for encrypted channels) from its environment. For each line of standard input, a job such as
// {"call":"trigger",…}, it writes one line: {"ok":…} or {"error":"STATUS"}. It exits when standard input ends.
// scripts/e2e-bindings.sh builds the programs and passes their command lines in BINDINGS.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { createInterface } from 'node:readline';
import { showing, start } from '../../tools/servers/servers.mjs';
import { Subscriber, within } from '../../tools/servers/subscriber.mjs';

const timeout = 60_000;
const masterKey = randomBytes(32).toString('base64');

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** The program of one language. */
class Program {
  #child;
  #ended;
  #answers;
  #stderr = '';
  #turn = Promise.resolve();

  constructor([command, ...args], url) {
    this.#child = spawn(command, args, {
      env: { ...process.env, PUSHER_URL: url, MASTER_KEY: masterKey },
      stdio: 'pipe',
    });
    running.add(this.#child);
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(code ?? signal));
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Runs a job after all jobs before it: requests for authorization arrive while other jobs run. */
  do(call, job = {}) {
    const done = this.#turn.then(async () => {
      this.#child.stdin.write(`${JSON.stringify({ call, ...job })}\n`);
      const { value, done } = await within(20_000, () => `${call}: no response. ${this.#stderr}`, this.#answers.next());
      if (done) throw new Error(`${call}: the program ended: ${await this.#ended} ${this.#stderr}`);
      return JSON.parse(value);
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async ok(call, job) {
    const answer = await this.do(call, job);
    assert.ok('ok' in answer, `${call}: ${JSON.stringify(answer)} ${this.#stderr}`);
    return answer.ok;
  }

  async stop() {
    this.#child.stdin.end();
    const code = await within(10_000, () => 'the program does not exit', this.#ended).finally(() =>
      this.#child.kill('SIGKILL'),
    );
    running.delete(this.#child);
    assert.deepEqual({ code, stderr: this.#stderr }, { code: 0, stderr: '' });
  }
}

/** The server of an application. The program of a language authorizes the users whose token is the name of that language.
 * The server stores all webhooks. */
class Application {
  programs = new Map();
  webhooks = [];
  #server;
  #waiting = new Set();

  static async start() {
    const application = new Application();
    application.#server = createServer((request, response) => {
      let body = '';
      request
        .setEncoding('utf8')
        .on('data', (part) => {
          body += part;
        })
        .on('end', async () => {
          try {
            const { status, answer } = await application.#serve(request, body);
            response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
          } catch (error) {
            response.writeHead(500).end(error.message);
          }
        });
    });
    await once(application.#server.listen(0, '127.0.0.1'), 'listening');
    application.address = `http://127.0.0.1:${application.#server.address().port}`;
    return application;
  }

  async #serve({ url, headers }, body) {
    if (url === '/webhook') {
      this.webhooks.push({ key: headers['x-pusher-key'], signature: headers['x-pusher-signature'], body });
      this.#waiting.forEach((check) => check());
      return { status: 200, answer: {} };
    }
    const language = headers.authorization.replace('Bearer ', '');
    const form = new URLSearchParams(body);
    const [socket_id, channel] = [form.get('socket_id'), form.get('channel_name')];
    const member = { user_id: `${language}-7`, user_info: { name: 'Zoë 🎈' } };
    const job =
      url === '/pusher/user-auth'
        ? ['authenticate_user', { socket_id, data: { id: `${language}-7`, name: 'Zoë 🎈' } }]
        : ['authenticate', { socket_id, channel, ...(channel.startsWith('presence-') && { data: member }) }];
    const { ok, error } = await this.programs.get(language).do(...job);
    return ok ? { status: 200, answer: ok } : { status: 403, answer: { error } };
  }

  /** Waits for the webhook with this event. */
  async webhook(name, channel) {
    const matches = (event) => event.name === name && event.channel === channel;
    const find = () => this.webhooks.find(({ body }) => JSON.parse(body).events.some(matches));
    let check;
    try {
      await within(
        10_000,
        () => `no webhook ${name} of ${channel}`,
        new Promise((resolve) => {
          check = () => {
            if (find()) resolve();
          };
          this.#waiting.add(check);
          check();
        }),
      );
    } finally {
      this.#waiting.delete(check);
    }
    return find();
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('every binding with a real server', () => {
  let application;
  let server;

  before(
    async () => {
      application = await Application.start();
      server = await start('soketi', { webhook: `${application.address}/webhook` });
    },
    { timeout },
  );

  after(async () => {
    await server?.stop();
    await application?.stop();
  });

  for (const [language, command] of Object.entries(JSON.parse(process.env.BINDINGS))) {
    describe(language, () => {
      let program;
      let subscriber;

      before(
        async () => {
          program = new Program(command, server.url);
          application.programs.set(language, program);
          subscriber = await Subscriber.connect(server, [], { authorizer: application.address, token: language });
        },
        { timeout },
      );

      after(async () => {
        await subscriber?.close();
        await program?.stop();
      });

      const test = (title, body) => it(title, { timeout }, () => showing(server, body));
      const got = (events) => events.map(({ channel, value }) => [channel, value]);

      test('triggers an event on one channel and on several, with a string and with an object, in ASCII and UTF-8', async () => {
        const [one, two] = [`${language}-one`, `${language}-two`];
        await subscriber.subscribe([one, two]);
        await program.ok('trigger', { channels: [one], event: 'ascii', data: 'plain "text" \\ \n' });
        assert.deepEqual(got(await subscriber.wait('ascii')), [[one, 'plain "text" \\ \n']]);
        const data = { Grüße: ['🎈', '👩‍👩‍👧', '日本語', null, 1.5, true, {}] };
        await program.ok('trigger', { channels: [one, two], event: 'ereignis-ü', data });
        assert.deepEqual(got(await subscriber.wait('ereignis-ü', 2)).sort(), [
          [one, data],
          [two, data],
        ]);
      });

      test('triggers a batch, each event on its own channel', async () => {
        const channels = [`${language}-batch-0`, `${language}-batch-1`];
        await subscriber.subscribe(channels);
        const event = (_, n) => ({ channel: channels[n % 2], name: 'batch', data: { n, text: 'ü 🎈' } });
        const events = Array.from({ length: 10 }, event);
        await program.ok('trigger_batch', { events });
        assert.deepEqual(
          got(await subscriber.wait('batch', 10)),
          events.map(({ channel, data }) => [channel, data]),
        );
      });

      test('publishes 10 events in order, and reports each as delivered', async () => {
        const channel = `${language}-background`;
        await subscriber.subscribe([channel]);
        const { reports } = await program.ok('publish', { channel, event: 'background', count: 10 });
        assert.deepEqual(
          reports.map(({ status, delivery }) => [status, delivery]),
          Array(10).fill(['OK', 'delivered']),
        );
        assert.deepEqual(
          got(await subscriber.wait('background', 10)),
          Array.from({ length: 10 }, (_, n) => [channel, n]),
        );
      });

      test('authorizes a private channel', async () => {
        const channel = `private-${language}`;
        await subscriber.subscribe([channel]);
        await program.ok('trigger', { channels: [channel], event: 'private', data: { n: 1 } });
        assert.deepEqual(got(await subscriber.wait('private')), [[channel, { n: 1 }]]);
      });

      test('authorizes a presence channel, and lists its users', async () => {
        const channel = `presence-${language}`;
        await subscriber.subscribe([channel]);
        const { members } = subscriber.pusher.channel(channel);
        assert.deepEqual([members.count, members.me], [1, { id: `${language}-7`, info: { name: 'Zoë 🎈' } }]);
        assert.deepEqual((await program.ok('users_info', { channel })).users, [{ id: `${language}-7` }]);
        const { channels } = await program.ok('channels_info', { prefix: `presence-${language}` });
        assert.deepEqual(Object.keys(channels), [channel]);
      });

      test('encrypts an event that pusher-js decrypts and the server cannot read', async () => {
        const channel = `private-encrypted-${language}`;
        await subscriber.subscribe([channel]);
        const data = { secret: 'Grüße 🎈' };
        await program.ok('trigger', { channels: [channel], event: 'encrypted', data });
        const [{ raw, value }] = await subscriber.wait('encrypted');
        assert.deepEqual([value, Object.keys(JSON.parse(raw)).sort()], [data, ['ciphertext', 'nonce']]);
        // A binding that derived another key would decrypt its own events, but not those of other bindings.
        const authorization = await program.ok('authenticate', { channel, socket_id: subscriber.socketId });
        const { shared_secret } = authorization;
        const expected = createHash('sha256').update(channel).update(Buffer.from(masterKey, 'base64')).digest('base64');
        assert.equal(shared_secret, expected);
        // Together with another channel, it has the same authorization.
        const all = await program.ok('authenticate_channels', {
          channels: ['public', channel],
          socket_id: subscriber.socketId,
        });
        assert.deepEqual([all[channel], all.public.status], [{ status: 200, data: authorization }, 400]);
      });

      test('accepts a webhook, and refuses it after a change', async () => {
        const channel = `${language}-webhook`;
        await subscriber.subscribe([channel]);
        const webhook = await application.webhook('channel_occupied', channel);
        const { events } = await program.ok('validate_webhook', webhook);
        assert.ok(
          events.some((event) => event.name === 'channel_occupied' && event.channel === channel),
          JSON.stringify(events),
        );
        const forged = { ...webhook, body: webhook.body.replace(channel, `${channel}-`) };
        assert.deepEqual(await program.do('validate_webhook', forged), { error: 'WEBHOOK_INVALID' });
      });

      test('signs a user in, sends the user an event, and terminates the connections of the user', async () => {
        const user = await Subscriber.connect(server, [], { authorizer: application.address, token: language });
        try {
          assert.deepEqual(await user.signIn(), { id: `${language}-7`, name: 'Zoë 🎈' });
          await user.wait('pusher_internal:subscription_succeeded');
          await program.ok('send_to_user', { user_id: `${language}-7`, event: 'to a user', data: { n: 1 } });
          assert.deepEqual(got(await user.wait('to a user')), [[`#server-to-user-${language}-7`, { n: 1 }]]);
          const over = new Promise((resolve) => user.pusher.connection.bind('disconnected', resolve));
          await program.ok('terminate_user_connections', { user_id: `${language}-7` });
          await within(10_000, () => 'the user is still connected', over);
        } finally {
          await user.close();
        }
      });

      test('reports UNAUTHORIZED for a wrong secret', async () => {
        const stranger = new Program(command, server.url.replace('test-secret', 'wrong-secret'));
        try {
          const answer = await stranger.do('trigger', { channels: ['c'], event: 'e', data: 1 });
          assert.deepEqual(answer, { error: 'UNAUTHORIZED' });
        } finally {
          await stranger.stop();
        }
      });
    });
  }
});
