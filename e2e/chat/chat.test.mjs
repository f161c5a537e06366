// Tests c_examples/chat with real browsers and a real server, and the requests that it must refuse.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { app, fetched, showing, start } from '../../tools/servers/servers.mjs';
import { launch } from '../browser/browser.mjs';
import { Listener } from '../program.mjs';

const pusherJs = join(fetched('pusher-js')[0], 'dist/web/pusher.min.js');
const timeout = 120_000;

/** Sends a request to the chat, and returns { status, json, headers }. Sends `fields` as a form, `body` as it is. */
function ask(address, method, path, options = {}) {
  const { fields, body = fields && `${new URLSearchParams(fields)}`, origin = address, cookie, headers } = options;
  // A client that is refused while it still writes may get an error instead of the response. With Expect, it waits.
  const asksFirst = headers?.Expect === '100-continue';
  return new Promise((resolve, reject) => {
    const sent = request(
      `${address}${path}`,
      {
        method,
        headers: {
          ...(fields !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
          ...(origin && { Origin: origin }),
          ...(cookie && { Cookie: cookie }),
          ...headers,
          ...(asksFirst && { 'Content-Length': Buffer.byteLength(body) }),
        },
      },
      (answer) => {
        let text = '';
        answer
          .setEncoding('utf8')
          .on('data', (part) => {
            text += part;
          })
          .on('error', reject);
        answer.on('end', () => {
          let json;
          try {
            json = JSON.parse(text);
          } catch {
            /* a file of the page, not JSON */
          }
          resolve({ status: answer.statusCode, headers: answer.headers, text, json });
          if (asksFirst) sent.destroy();
        });
      },
    );
    sent.on('error', reject);
    if (asksFirst) sent.on('continue', () => sent.end(body)).flushHeaders();
    else sent.end(body);
  });
}

const post = (address, path, fields, more) => ask(address, 'POST', path, { fields, ...more });

/** Signs a person in without a browser, and returns { cookie, id, attributes }. */
async function signIn(address, name) {
  const { status, headers, json } = await post(address, '/sign-in', { name });
  assert.equal(status, 200);
  return { cookie: headers['set-cookie'][0].split(';')[0], id: json.user.id, attributes: headers['set-cookie'][0] };
}

/** Runs `body` with a chat, then stops the chat, which must exit with 0 and without a report of a sanitizer. */
async function withChat(url, args, body) {
  const chat = await Listener.start('chat', url, ['--pusher-js', pusherJs, ...args]);
  try {
    await body(chat);
  } finally {
    assert.equal(await chat.stop(), 0, chat.stderr);
  }
}

describe('chat', { timeout: 600_000 }, () => {
  let relay, server, chat, browser;
  /** The webhooks of the server, with the status that the chat returned. Each one calls `arrived`. */
  const webhooks = [];
  let arrived = () => {};

  // The chat needs the server's address to start, and the server needs that of the chat. A relay breaks the cycle.
  before(
    async () => {
      relay = createServer(async (incoming, outgoing) => {
        const parts = [];
        for await (const part of incoming) parts.push(part);
        const body = Buffer.concat(parts);
        const { 'x-pusher-key': key, 'x-pusher-signature': signature } = incoming.headers;
        const headers = { 'X-Pusher-Key': key, 'X-Pusher-Signature': signature };
        const { status } = await ask(chat.address, 'POST', '/webhook', { body, origin: null, headers });
        outgoing.writeHead(status).end();
        webhooks.push({ body, headers, status, events: JSON.parse(body).events });
        arrived();
      });
      await once(relay.listen(0, '127.0.0.1'), 'listening');
      server = await start('soketi', { webhook: `http://127.0.0.1:${relay.address().port}/` });
      chat = await Listener.start('chat', server.url, ['--pusher-js', pusherJs]);
      browser = await launch();
    },
    { timeout },
  );

  after(async () => {
    await browser?.close();
    const code = await chat?.stop();
    await server?.stop();
    relay?.closeAllConnections();
    relay?.close();
    assert.equal(code, 0, chat?.stderr);
  });

  const test = (title, body) => it(title, { timeout }, () => showing(server, body));

  /** Waits for the webhook with this event of this user, and returns it. */
  const webhookOf = (name, user_id) =>
    new Promise((resolve) => {
      arrived = () => {
        const found = webhooks.find(({ events }) =>
          events.some((event) => event.name === name && event.user_id === user_id),
        );
        if (found) resolve(found);
      };
      arrived();
    });

  const troubles = [];
  /** Signs a person in through the page, in a separate browser context. */
  async function comeIn(name, viewport = { width: 760, height: 540 }) {
    const context = await browser.newContext({ viewport, deviceScaleFactor: 1.5, locale: 'en-GB' });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('dialog', (dialog) => {
      troubles.push(dialog.message());
      dialog.dismiss();
    });
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text());
    });
    page.on('pageerror', (error) => troubles.push(error.message));
    await page.goto(chat.address);
    await page.fill('#name', name);
    await page.click('#sign-in button');
    await page.locator('#members bdi', { hasText: name }).waitFor();
    return page;
  }

  const texts = (page, list) => page.locator(list).allTextContents();

  async function write(page, text) {
    await page.fill('#text', text);
    await page.click('#say button');
  }

  /** Waits until a list has an item with exactly this text. */
  const shows = (page, list, text) =>
    page.waitForFunction(
      ([list, text]) => [...document.querySelectorAll(list)].some((item) => item.textContent === text),
      [list, text],
    );

  test('two people see each other, talk and wave, and a webhook reports that one left', async () => {
    const ada = await comeIn('Ada');
    const grace = await comeIn('Grace');
    // Each sees the other in the presence channel. The first one also sees the webhook about the second one's arrival.
    await shows(ada, '#members bdi', 'Grace');
    await shows(grace, '#members bdi', 'Ada');
    assert.deepEqual((await texts(grace, '#members bdi')).sort(), ['Ada', 'Grace']);
    await shows(ada, '#webhooks p', 'Grace came in');
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

    if (process.env.PUSHER_WRITE_SCREENSHOT === '1') await screenshot([ada, grace]);

    // Signing out terminates Grace's connections, so she leaves the channel, and Ada sees the webhook about it.
    await grace.click('#sign-out');
    await grace.locator('#door').waitFor();
    await shows(ada, '#webhooks p', 'Grace left');
    await ada.waitForFunction(() => document.querySelectorAll('#members li').length === 1);
    assert.deepEqual(troubles, []);
    assert.ok(webhooks.every(({ status }) => status === 200));

    // A person who closes the window leaves, too.
    const left = (count) =>
      ada.waitForFunction(
        (count) =>
          [...document.querySelectorAll('#webhooks p')].filter((p) => p.textContent === 'Grace left').length === count,
        count,
      );
    const second = await comeIn('Grace');
    await shows(ada, '#members bdi', 'Grace');
    await second.context().close();
    await left(2);
    await ada.waitForFunction(() => document.querySelectorAll('#members li').length === 1);
    await ada.context().close();
  });

  test('signing out closes the connections of all windows', async () => {
    const ada = await comeIn('Ada the second');
    const page = await comeIn('Grace the second');
    await shows(ada, '#members bdi', 'Grace the second');
    // Until this window notices that the session has ended, the chat refuses its requests, and the browser logs errors.
    page.removeAllListeners('console');
    // Sign out as another window would: only the server informs this one.
    await page.evaluate(() => fetch('/sign-out', { method: 'POST' }));
    await page.locator('#connection[data-state=disconnected]').waitFor();
    await shows(ada, '#webhooks p', 'Grace the second left');
    await page.context().close();
    await ada.context().close();
  });

  test('the page shows names as text', async () => {
    const name = '<img src=x onerror=alert(1)> "é" 🎈';
    const page = await comeIn(name);
    await write(page, 'hello');
    await shows(page, '#messages bdi', name);
    assert.equal(await page.locator('#room img').count(), 0);
    assert.deepEqual(troubles, []);
    await page.context().close();
  });

  test('the chat refuses a webhook without a valid signature, and shows a repeated webhook once', async () => {
    const before = await comeIn('Listener');
    const page = await comeIn('Visitor');
    await shows(before, '#webhooks p', 'Visitor came in');
    const {
      user: { id },
    } = await page.evaluate(async () => (await fetch('/session')).json());
    const { body, headers } = await webhookOf('member_added', id);

    const send = (body, headers) => ask(chat.address, 'POST', '/webhook', { body, headers, origin: null });
    assert.equal((await send(body, {})).status, 401);
    assert.equal((await send(body, { 'X-Pusher-Key': app.key })).status, 401);
    assert.equal((await send(Buffer.concat([body, Buffer.from(' ')]), headers)).status, 401);
    assert.equal((await send(Buffer.from(`${body}`.replace('member_added', 'member_removed')), headers)).status, 401);
    assert.equal((await send(body, { ...headers, 'X-Pusher-Key': 'other' })).status, 401);
    assert.equal((await send(body, headers)).status, 200);

    // Events arrive in order: after a later event, a second copy of this one would be visible.
    await page.context().close();
    await shows(before, '#webhooks p', 'Visitor left');
    const shown = await texts(before, '#webhooks p');
    assert.equal(shown.filter((text) => text === 'Visitor came in').length, 1, shown.join());
    await before.context().close();
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
    assert.equal(await status('/say', `text=${'x'.repeat(2001)}`), 400);
    assert.equal(await status('/say', 'text=hello', { 'Content-Type': 'text/plain' }), 400);
    assert.equal(await status('/say', `text=${'x'.repeat(17_000)}`), 413);
    assert.equal(await status('/webhook', Buffer.alloc(1024 * 1024 + 1), { Expect: '100-continue' }), 413);
    for (const name of ['', ' x', 'x ', 'x'.repeat(49), 'a\nb', 'a\x7f', '%ff']) {
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
    assert.deepEqual(json.pusher, { key: app.key, cluster: '', host: '127.0.0.1', port: server.port, tls: false });
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

  /** Saves a picture of both windows for the documentation. */
  async function screenshot(pages) {
    const shots = [];
    for (const page of pages) shots.push((await page.screenshot()).toString('base64'));
    const context = await browser.newContext({ viewport: { width: 1620, height: 650 }, deviceScaleFactor: 1.5 });
    const frame = await context.newPage();
    await frame.setContent(`<style>
        body { margin: 0; height: 650px; display: flex; justify-content: center; align-items: center; gap: 28px;
          background: linear-gradient(120deg, #dcd8fb, #d6ecf3); }
        div { border-radius: 14px; overflow: hidden; box-shadow: 0 14px 44px #1d243340; background: #e4e7f0; }
        i { display: block; height: 26px; padding: 9px 12px; box-sizing: border-box; }
        i::before { content: ""; display: block; width: 9px; height: 9px; border-radius: 50%; background: #b4bbcb;
          box-shadow: 15px 0 #b4bbcb, 30px 0 #b4bbcb; }
        img { display: block; width: 760px; }
      </style>${shots.map((shot) => `<div><i></i><img src="data:image/png;base64,${shot}"></div>`).join('')}`);
    await frame.waitForFunction(() => [...document.images].every((image) => image.complete));
    writeFileSync(new URL('../../docs/chat.png', import.meta.url), await frame.screenshot());
    await context.close();
  }
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
