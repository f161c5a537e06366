// Tests c_examples/chat with real browsers and a real server, and the requests that it must refuse.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { app, showing } from '../../tools/servers/servers.mjs';
import { ask, post, pusherJs, Rig, shows, signIn, texts, timeout, withChat, write } from './rig.mjs';

describe('chat', { timeout: 600_000 }, () => {
  const rig = new Rig();
  let server, chat;

  before(
    async () => {
      await rig.start();
      ({ server, chat } = rig);
    },
    { timeout },
  );

  after(() => rig.stop());

  const test = (title, body) => it(title, { timeout }, () => showing(server, body));

  test('two people see each other, talk and wave, and a webhook reports that one left', async () => {
    const ada = await rig.comeIn('Ada');
    const grace = await rig.comeIn('Grace');
    // Each sees the other in the presence channel. The first one also sees the webhook about the second one's arrival.
    await shows(ada, '#members bdi', 'Grace');
    await shows(grace, '#members bdi', 'Ada');
    assert.deepEqual((await texts(grace, '#members bdi')).sort(), ['Ada', 'Grace']);
    await shows(ada, '#webhooks .what', 'Grace came in');
    await ada.locator('#connection[data-state=connected]').waitFor();

    const said = [
      [grace, 'Hi Ada! Is this really served by a C program? 🎈'],
      [ada, 'It is. Try to break it 😄'],
      [grace, '<script>alert("broken?")</script>'],
      [ada, '<b>"No"</b>, it\'s text & stays text \\o/ 👩‍🚀 Grüße, мир'],
    ];
    for (const [page, text] of said) {
      await write(page, text);
      for (const reader of [ada, grace]) await shows(reader, '#messages .text', text);
    }
    for (const reader of [ada, grace]) {
      assert.deepEqual(
        await texts(reader, '#messages .text'),
        said.map(([, text]) => text),
      );
      assert.equal(await reader.locator('#messages .text *').count(), 0, 'the page shows messages as text');
      assert.equal(await reader.locator('#messages .mine').count(), 2);
    }

    await ada.click('#members .wave:visible');
    await grace.locator('#notice', { hasText: 'Ada waves to you' }).waitFor();
    assert.equal(await ada.locator('#notice').isVisible(), false, 'only the addressee sees a wave');

    // Signing out terminates Grace's connections, so she leaves the channel, and Ada sees the webhook about it.
    await grace.click('#sign-out');
    await grace.locator('#door').waitFor();
    await shows(ada, '#webhooks .what', 'Grace left');
    await ada.waitForFunction(() => document.querySelectorAll('#members li').length === 1);
    assert.deepEqual(rig.troubles, []);
    assert.ok(rig.webhooks.every(({ status }) => status === 200));

    // A person who closes the window leaves, too.
    const left = (count) =>
      ada.waitForFunction(
        (count) =>
          [...document.querySelectorAll('#webhooks .what')].filter((p) => p.textContent === 'Grace left').length ===
          count,
        count,
      );
    const second = await rig.comeIn('Grace');
    await shows(ada, '#members bdi', 'Grace');
    await second.context().close();
    await left(2);
    await ada.waitForFunction(() => document.querySelectorAll('#members li').length === 1);
    await rig.leave(ada);
  });

  test('signing out closes the connections of all windows', async () => {
    const ada = await rig.comeIn('Ada the second');
    const page = await rig.comeIn('Grace the second');
    await shows(ada, '#members bdi', 'Grace the second');
    // Until this window notices that the session has ended, the chat refuses its requests, and the browser logs errors.
    page.removeAllListeners('console');
    // Sign out as another window would: only the server informs this one.
    await page.evaluate(() => fetch('/sign-out', { method: 'POST' }));
    await page.locator('#connection[data-state=disconnected]').waitFor();
    await shows(ada, '#webhooks .what', 'Grace the second left');
    await rig.leave(page);
    await rig.leave(ada);
  });

  test('the page shows names as text', async () => {
    const name = '<img src=x onerror=alert(1)> "é" 🎈';
    const page = await rig.comeIn(name);
    await write(page, 'hello');
    await shows(page, '#messages bdi', name);
    assert.equal(await page.locator('#room img').count(), 0);
    assert.deepEqual(rig.troubles, []);
    await rig.leave(page);
  });

  test('the chat refuses a webhook without a valid signature, and shows a repeated webhook once', async () => {
    const before = await rig.comeIn('Listener');
    const page = await rig.comeIn('Visitor');
    await shows(before, '#webhooks .what', 'Visitor came in');
    const {
      user: { id },
    } = await page.evaluate(async () => (await fetch('/session')).json());
    const { body, headers } = await rig.webhookOf('member_added', id);

    const send = (body, headers) => ask(chat.address, 'POST', '/webhook', { body, headers, origin: null });
    assert.equal((await send(body, {})).status, 401);
    assert.equal((await send(body, { 'X-Pusher-Key': app.key })).status, 401);
    assert.equal((await send(Buffer.concat([body, Buffer.from(' ')]), headers)).status, 401);
    assert.equal((await send(Buffer.from(`${body}`.replace('member_added', 'member_removed')), headers)).status, 401);
    assert.equal((await send(body, { ...headers, 'X-Pusher-Key': 'other' })).status, 401);
    assert.equal((await send(body, headers)).status, 200);

    // Events arrive in order: after a later event, a second copy of this one would be visible.
    await rig.leave(page);
    await shows(before, '#webhooks .what', 'Visitor left');
    const shown = await texts(before, '#webhooks .what');
    assert.equal(shown.filter((text) => text === 'Visitor came in').length, 1, shown.join());
    await rig.leave(before);
  });

  test('the chat refuses requests from another origin or without a session', async () => {
    const { cookie, attributes } = await signIn(chat.address, 'Mallory');
    assert.match(attributes, /^chat=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/);
    const requests = {
      '/say': { text: 'hello' },
      '/wave': { to: '0123456789abcdef' },
      '/sign-out': {},
      '/pusher/auth': { socket_id: '1.2', channel_name: 'private-room' },
      '/pusher/user-auth': { socket_id: '1.2' },
    };
    for (const [path, fields] of Object.entries(requests)) {
      const { address } = chat;
      const others = [
        'http://evil.example',
        'null',
        `${address}.evil.example`,
        address.replace('http:', 'https:'),
        null,
      ];
      for (const origin of others) {
        assert.equal((await post(chat.address, path, fields, { origin, cookie })).status, 403, `${path} ${origin}`);
      }
      const forged = `chat=${'0'.repeat(64)}`;
      for (const wrong of [undefined, 'chat=', forged, cookie.slice(0, -1), `other${cookie}`]) {
        assert.equal((await post(chat.address, path, fields, { cookie: wrong })).status, 401, `${path} ${wrong}`);
      }
    }
    assert.equal((await post(chat.address, '/sign-in', { name: 'x' }, { origin: 'http://evil.example' })).status, 403);
    // The session is still valid.
    assert.equal((await ask(chat.address, 'GET', '/session', { cookie })).json.user.name, 'Mallory');
    assert.equal((await post(chat.address, '/sign-out', {}, { cookie })).status, 200);
    assert.equal((await ask(chat.address, 'GET', '/session', { cookie })).json.user, null);
    assert.equal((await post(chat.address, '/say', { text: 'hello' }, { cookie })).status, 401);
  });

  test('the session determines the user, and only the two channels can be authorized', async () => {
    const { cookie, id } = await signIn(chat.address, 'Trudy');
    const auth = (channel_name, more = {}) =>
      post(chat.address, '/pusher/auth', { socket_id: '1.2', channel_name, ...more }, { cookie });
    const { json } = await auth('presence-room', { user_id: 'root', channel_data: '{"user_id":"root"}' });
    assert.deepEqual(JSON.parse(json.channel_data), { user_id: id, user_info: { name: 'Trudy' } });
    assert.match(json.auth, /^test-key:[0-9a-f]{64}$/);
    for (const channel of ['private-other', 'presence-room2', 'private-room\n', 'PRIVATE-ROOM', 'room', '']) {
      assert.equal((await auth(channel)).status, 403, channel);
    }
    for (const socket_id of ['1', '1.2:private-x', '', '1.2\n']) {
      for (const [path, more] of [
        ['/pusher/auth', { channel_name: 'private-room' }],
        ['/pusher/user-auth', {}],
      ]) {
        assert.equal(
          (await post(chat.address, path, { socket_id, ...more }, { cookie })).status,
          400,
          `${path} ${socket_id}`,
        );
      }
    }
  });

  test('the chat refuses malformed, oversized and too frequent requests', async () => {
    const { cookie } = await signIn(chat.address, 'Peggy');
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const status = async (path, body, headers = form) =>
      (await ask(chat.address, 'POST', path, { body, cookie, headers })).status;
    const cases = { 'text=a%00b': 400, 'text=a&text=b': 400, 'other=a': 400, '': 400, 'text=': 400, 'text=%FF': 400 };
    for (const [body, expected] of Object.entries(cases)) assert.equal(await status('/say', body), expected, body);
    assert.equal(await status('/say', `text=${'x'.repeat(4001)}`), 400);
    assert.equal(await status('/say', 'text=hello', { 'Content-Type': 'text/plain' }), 400);
    assert.equal(await status('/say', `text=${'x'.repeat(17_000)}`), 413);
    assert.equal(await status('/webhook', Buffer.alloc(1024 * 1024 + 1), { Expect: '100-continue' }), 413);
    for (const name of ['', ' x', 'x ', 'x'.repeat(41), '🎈'.repeat(41), 'a\nb', 'a\x7f', '%ff']) {
      const body = name === '%ff' ? 'name=%FF' : `name=${encodeURIComponent(name)}`;
      assert.equal(await status('/sign-in', body), 400, JSON.stringify(name));
    }
    assert.equal((await post(chat.address, '/sign-in', { name: 'Peggy' })).status, 409);
    assert.equal((await ask(chat.address, 'GET', '/say', { cookie })).status, 405);
    assert.equal((await ask(chat.address, 'GET', '/../main.c', { cookie })).status, 404);

    // A body that is too long and has no Content-Length closes the connection.
    await assert.rejects(
      ask(chat.address, 'POST', '/say', {
        body: 'x'.repeat(20_000),
        cookie,
        headers: { ...form, 'Transfer-Encoding': 'chunked' },
      }),
      { code: /ECONNRESET|EPIPE/ },
    );

    const answers = [];
    for (let i = 0; i < 21; i++) answers.push(await status('/say', 'text=spam'));
    assert.ok(answers.includes(429) && answers.includes(200), answers.join());
  });

  test('browsers receive the key and the address, but no secret', async () => {
    const { cookie } = await signIn(chat.address, 'Victor');
    const { json } = await ask(chat.address, 'GET', '/session', { cookie });
    assert.deepEqual(json.pusher, { key: app.key, cluster: '', host: '127.0.0.1', port: rig.line.port, tls: false });
    for (const path of ['/', '/chat.js', '/chat.css', '/pusher.js', '/session']) {
      const { status, headers, text } = await ask(chat.address, 'GET', path, { cookie });
      assert.equal(status, 200);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.ok(text.length > 100 && !text.includes(app.secret) && !text.includes(cookie.slice(5)), path);
    }
    const { headers } = await ask(chat.address, 'GET', '/');
    assert.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(chat.stderr, RegExp(`${app.secret}|auth_signature|${cookie.slice(5)}`));
  });
});

describe('chat with an API that fails', { timeout: 300_000 }, () => {
  /** Runs `body` with the chat and a fake API; `serve(response)` responds to each request. */
  async function withApi(serve, body) {
    const api = createServer((incoming, outgoing) => {
      incoming.resume().on('end', () => serve(outgoing));
    });
    await once(api.listen(0, '127.0.0.1'), 'listening');
    try {
      await withChat(`http://some-key:some-secret@127.0.0.1:${api.address().port}/apps/1`, [], (chat) =>
        body(chat, api),
      );
    } finally {
      api.closeAllConnections();
      api.close();
    }
  }

  it('reports the delivery of a message', { timeout }, async () => {
    let answer = (response) => response.writeHead(500).end('secrets of the server');
    await withApi(
      (response) => answer(response),
      async ({ address }, api) => {
        const { cookie } = await signIn(address, 'Ada');
        const say = async () => await post(address, '/say', { text: 'hello' }, { cookie });
        const error = 'Channels does not answer as it should';
        assert.deepEqual((await say()).json, { error, delivery: 'unknown' });
        answer = (response) => response.writeHead(403).end('over quota');
        assert.deepEqual((await say()).json, { error, delivery: 'rejected' });
        answer = (response) => response.destroy();
        assert.deepEqual((await say()).json, { error, delivery: 'unknown' });
        const closed = once(api, 'close');
        api.close();
        api.closeAllConnections();
        await closed;
        const { status, json } = await say();
        assert.deepEqual({ status, ...json }, { status: 502, error, delivery: 'not_sent' });
      },
    );
  });

  it('finishes the requests in progress before it exits', { timeout }, async () => {
    let asked;
    const api = new Promise((resolve) => {
      asked = resolve;
    });
    await withApi(
      (response) => asked(response),
      async (chat) => {
        const { cookie } = await signIn(chat.address, 'Ada');
        const said = post(chat.address, '/say', { text: 'the last word' }, { cookie });
        const response = await api;
        const stopping = new Promise((resolve) => {
          chat.take = (line) => {
            if (line === 'stopping') resolve();
          };
        });
        const stopped = chat.stop();
        await chat.until(() => 'word that it stops', stopping);
        response.end('{}');
        assert.equal((await said).status, 200);
        assert.equal(await stopped, 0);
      },
    );
  });

  it(
    'with an https origin, accepts requests from that origin only, and marks its cookie as secure',
    { timeout },
    async () => {
      const origin = 'https://chat.example';
      const args = ['--origin', origin, '--websocket', 'wss://ws.example:8443'];
      await withChat('http://k:s@127.0.0.1:1/apps/1', args, async ({ address }) => {
        assert.equal((await post(address, '/sign-in', { name: 'Ada' })).status, 403);
        const { status, headers, json } = await post(address, '/sign-in', { name: 'Ada' }, { origin });
        assert.equal(status, 200);
        assert.match(
          headers['set-cookie'][0],
          /^__Host-chat=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
        );
        assert.deepEqual(json.pusher, { key: 'k', cluster: '', host: 'ws.example', port: 8443, tls: true });
        assert.match((await ask(address, 'GET', '/')).headers['content-security-policy'], / wss:\/\/ws\.example:8443;/);
      });
    },
  );

  it("passes the cluster to browsers for Pusher's own servers", { timeout }, async () => {
    await withChat('https://k:s@api-eu.pusher.com/apps/1', [], async ({ address }) => {
      const { json } = await ask(address, 'GET', '/session');
      assert.deepEqual(json.pusher, { key: 'k', cluster: 'eu' });
      assert.match((await ask(address, 'GET', '/')).headers['content-security-policy'], / wss:\/\/ws-eu\.pusher\.com;/);
    });
  });

  it('prints its usage, and the reason why it cannot start', { timeout }, async () => {
    const { run } = await import('../program.mjs');
    for (const args of [['--port'], ['--port', 'x'], ['--colour', 'red']]) {
      const { code, stderr } = await run('chat', 'http://k:s@127.0.0.1:1/apps/1', args);
      assert.deepEqual([code, stderr.slice(0, 11)], [2, 'usage: chat']);
    }
    const wrong = async (url, args, message) => {
      const { code, stdout, stderr } = await run('chat', url, args);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /some-secret/);
    };
    const url = 'http://k:some-secret@127.0.0.1:1/apps/1';
    await wrong(null, [], /PUSHER_URL/);
    await wrong(url, ['--pusher-js', '/nonexistent'], /cannot read \/nonexistent/);
    await wrong(url, ['--page', '/nonexistent'], /cannot read \/nonexistent/);
    const unsound = [
      'nonsense',
      'wss://',
      'wss://a b',
      "ws://a;script-src 'unsafe-inline'",
      'ws://a:0',
      'ws://a:65536',
    ];
    for (const websocket of unsound) {
      await wrong(url, ['--websocket', websocket, '--pusher-js', pusherJs], /--websocket/);
    }
  });
});
