// Tests the example programs that need no real server.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, request } from 'node:http';
import { connect, createServer as createPeer } from 'node:net';
import { describe, it } from 'node:test';
import { Listener, run, start } from './program.mjs';

const timeout = 60_000;
const url = 'http://some-key:some-secret@127.0.0.1:1/apps/1';
const suite = { timeout: 600_000 };

const sign = (text) => createHmac('sha256', 'some-secret').update(text).digest('hex');

/** Runs `body` with an example, then stops the example, which must exit with 0 even if `body` fails. */
async function withListener(name, args, body) {
  const program = await Listener.start(name, url, args);
  try {
    await body(program);
  } finally {
    assert.equal(await program.stop(), 0);
  }
  return program;
}

function ask(address, { method = 'POST', path = '/', headers = {}, body = '' }) {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${address}${path}`,
      { method, headers: { 'Content-Length': body.length, ...headers } },
      (got) => {
        let text = '';
        got.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        got.on('end', () => resolve({ status: got.statusCode, text }));
      },
    );
    asked.on('error', reject).end(body);
  });
}

/** Sends bytes as they are, and returns the response as a string. */
function raw(address, text) {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(address).port) }, () => socket.write(text));
    socket.setEncoding('latin1').on('data', (part) => {
      answer += part;
    });
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}

describe('authorize', suite, () => {
  const with2 = (body) =>
    withListener('authorize', ['token-a=alice', 'token-b=bob', 'token-c=O"Brien <b>'], async ({ address }) => {
      await body(
        (form, { token = 'token-a', path = '/pusher/auth', ...more } = {}) =>
          ask(address, {
            path,
            body: form,
            headers: { Authorization: `Bearer ${token}` },
            ...more,
          }),
        address,
      );
    });

  it('authorizes a user with a session', { timeout }, () =>
    with2(async (post) => {
      const answer = await post('socket_id=12.34&channel_name=private-a');
      assert.equal(answer.status, 200);
      assert.deepEqual(JSON.parse(answer.text), { auth: `some-key:${sign('12.34:private-a')}` });
    }),
  );

  it('takes the user of a presence channel from the session', { timeout }, () =>
    with2(async (post) => {
      const form = 'socket_id=12.34&channel_name=presence-a&user_id=root&channel_data={"user_id":"root"}';
      const { auth, channel_data } = JSON.parse((await post(form, { token: 'token-b' })).text);
      assert.deepEqual(JSON.parse(channel_data), { user_id: 'bob', user_info: { name: 'bob' } });
      assert.equal(auth, `some-key:${sign(`12.34:presence-a:${channel_data}`)}`);
    }),
  );

  it('escapes the name of a user', { timeout }, () =>
    with2(async (post) => {
      const name = 'O"Brien <b>';
      const member = await post('socket_id=12.34&channel_name=presence-a', { token: 'token-c' });
      assert.deepEqual(JSON.parse(JSON.parse(member.text).channel_data), { user_id: name, user_info: { name } });
      // The id of a user who signs in is part of a URL later, and may not have all characters.
      const signedIn = await post('socket_id=12.34', { token: 'token-c', path: '/pusher/user-auth' });
      assert.equal(signedIn.status, 400);
    }),
  );

  it('signs a user in', { timeout }, () =>
    with2(async (post) => {
      const { auth, user_data } = JSON.parse((await post('socket_id=12.34', { path: '/pusher/user-auth' })).text);
      assert.equal(JSON.parse(user_data).id, 'alice');
      assert.equal(auth, `some-key:${sign(`12.34::user::${user_data}`)}`);
    }),
  );

  it('decodes the form', { timeout }, () =>
    with2(async (post) => {
      const { text } = await post('channel_name=private-a%3D%40%2C%3bz&socket_id=12%2E34');
      assert.equal(JSON.parse(text).auth, `some-key:${sign('12.34:private-a=@,;z')}`);
    }),
  );

  it('refuses requests without a session and malformed requests', { timeout }, () =>
    with2(async (post, address) => {
      const refused = async (status, ...args) => {
        const answer = await post(...args);
        assert.equal(answer.status, status, JSON.stringify([args, answer]));
        assert.doesNotMatch(answer.text, /"auth"|[0-9a-f]{64}/);
      };
      const form = 'socket_id=1.2&channel_name=private-a';
      for (const token of ['', 'token', 'token-ab', 'token-a=alice', 'alice']) await refused(401, form, { token });
      await refused(401, form, { headers: {} });
      await refused(403, 'socket_id=1.2&channel_name=private-user-bob');
      await refused(200 + 200, 'socket_id=1.2&channel_name=public'); // a public channel needs no authorization
      await refused(404, form, { path: '/pusher/authority' });
      await refused(405, form, { method: 'PUT' });
      for (const wrong of [
        '',
        'socket_id=1.2',
        'channel_name=private-a',
        'my_socket_id=1.2&channel_name=private-a',
        'socket_id=1.2&channel_name=private-a%00b',
        'socket_id=1.2&channel_name=private-a%0',
        'socket_id=1.2&channel_name=%zz',
        `socket_id=1.2&channel_name=private-${'a'.repeat(600)}`,
        'socket_id=1.2\0&channel_name=private-a',
        'socket_id=1.2%0A&channel_name=private-a',
        'socket_id=1:2&channel_name=private-a',
      ])
        await refused(400, wrong);
      assert.equal((await post('socket_id=1.2&channel_name=private-user-alice')).status, 200);
      assert.match(await raw(address, 'rubbish\r\n\r\n'), /^HTTP\/1.1 400 /);
      assert.match(await raw(address, 'POST / HTTP/1.1\r\nno colon\r\n\r\n'), /^HTTP\/1.1 400 /);
      assert.match(
        await raw(address, 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
        /^HTTP\/1.1 411 /,
      );
      assert.match(await raw(address, `POST / HTTP/1.1\r\nContent-Length: ${2 ** 21}\r\n\r\n`), /^HTTP\/1.1 413 /);
      assert.match(await raw(address, `POST /${'a'.repeat(16 * 1024)}`), /^HTTP\/1.1 413 /);
    }),
  );

  it('prints its usage', { timeout }, async () => {
    for (const args of [
      [],
      ['alice'],
      ['=alice'],
      ['t='],
      [`t=${'a'.repeat(65)}`],
      ['--port', 'x', 't=a'],
      ['--port', '65536', 't=a'],
    ]) {
      const { code, stderr } = await run('authorize', url, args);
      assert.deepEqual([code, stderr.startsWith('usage: authorize ')], [2, true], `${args}`);
    }
    assert.match((await run('authorize', null, ['t=a'])).stderr, /INVALID_CONFIG/);
  });
});

describe('webhook', suite, () => {
  it('prints the events of authentic webhooks, and refuses other requests', { timeout }, async () => {
    const { stderr } = await withListener('webhook', [], prints);
    assert.match(stderr, /^(webhook: WEBHOOK_INVALID: .+\n){5}$/);
  });

  const prints = async (program) => {
    const events = [
      { name: 'a', nested: [{ events: [{}] }], text: '\\"}]{' },
      { events: 'x' },
      { name: 'ü', channel: 'c' },
    ];
    const payload = {
      'x"': '\\',
      events: 'no',
      list: [{ not: 'this' }],
      ...{ time_ms: Date.now() },
      more: { events: [{}] },
    };
    const body = JSON.stringify({ ...payload, events }, null, 2);
    const post = (changes = {}, text = body) =>
      ask(program.address, {
        path: '/',
        body: Buffer.from(text),
        headers: { 'X-Pusher-Key': 'some-key', 'x-pusher-signature': sign(body), ...changes },
      });
    assert.equal((await post()).status, 200);
    await program.event({ name: 'ü' });
    assert.deepEqual(program.events(), events);

    for (const [changes, text] of [
      [{ 'X-Pusher-Key': 'other' }],
      [{ 'x-pusher-signature': sign(`${body} `) }],
      [{}, `${body} `],
    ]) {
      assert.equal((await post(changes, text)).status, 401);
    }
    assert.equal((await ask(program.address, { body })).status, 401);
    assert.equal((await ask(program.address, { method: 'GET' })).status, 405);
    const old = JSON.stringify({ time_ms: Date.now() - 3_600_000, events });
    assert.equal((await post({ 'x-pusher-signature': sign(old) }, old)).status, 401);
    assert.equal(program.events().length, events.length);
  };

  it('keeps serving after a client disconnects or never completes its request', { timeout }, () =>
    withListener('webhook', [], async ({ address }) => {
      const gone = connect({ host: '127.0.0.1', port: Number(new URL(address).port) });
      await new Promise((resolve) => gone.write('POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n', resolve));
      gone.resetAndDestroy();
      assert.equal((await ask(address, { method: 'GET' })).status, 405);
    }),
  );
});

/** Runs `body` with an API that calls `serve(response, count, request)` for each request, and returns the requests. */
async function withApi(serve, body) {
  const requests = [];
  const api = createServer((asked, response) => {
    let text = '';
    asked.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    asked.on('error', () => {});
    asked.on('end', () => {
      requests.push({ target: asked.url, headers: asked.headers, text, socket: asked.socket });
      serve(response, requests.length, asked);
    });
  });
  await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://some-key:some-secret@127.0.0.1:${api.address().port}/apps/1`, requests);
  } finally {
    api.closeAllConnections();
    await new Promise((resolve) => api.close(resolve));
  }
  return requests;
}

/** Runs `body` with a peer that calls `serve(socket)` for each connection. */
async function withPeer(serve, body) {
  const sockets = [];
  const peer = createPeer((socket) => {
    sockets.push(socket.on('error', () => {}));
    serve(socket);
  });
  await new Promise((resolve) => peer.listen(0, '127.0.0.1', resolve));
  const { port } = peer.address();
  const stop = () => {
    sockets.forEach((socket) => socket.destroy());
    return peer.listening ? new Promise((resolve) => peer.close(resolve)) : undefined;
  };
  try {
    await body(`http://some-key:some-secret@127.0.0.1:${port}/apps/1`, stop);
  } finally {
    await stop();
  }
}

/** Returns a `serve` that reads a complete request, responds with `text`, and closes the connection. */
const answering = (text) => (socket) => {
  let request = '';
  socket.setEncoding('latin1').on('data', (part) => {
    request += part;
    const [head, body] = request.split('\r\n\r\n');
    if (body?.length === Number(/^content-length: *(\d+)/im.exec(head)[1])) socket.end(text);
  });
};

const accept = (response) => response.end('{}');

// The result that both examples report for each behaviour of the server. `serve` gets node's response, `peer` the socket.
const outcomes = {
  '200 is delivered': { serve: accept, is: 'delivered' },
  '200 with Content-Length 0 is delivered': {
    serve: (response) => response.writeHead(200).end(),
    is: 'delivered',
  },
  '403 is rejected': {
    serve: (response) => response.writeHead(403).end('no'),
    is: 'rejected',
    status: 'FORBIDDEN',
  },
  '429 is rejected, with Retry-After': {
    serve: (response) => response.writeHead(429, { 'retry-after': '7' }).end(),
    is: 'rejected',
    status: 'RATE_LIMITED',
    retry_after_ms: 7000,
  },
  'a redirect is not followed': {
    serve: (response, _, asked) => response.writeHead(307, { location: asked.url }).end(),
    is: 'rejected',
    status: 'REDIRECTED',
  },
  'a server error is unknown': {
    serve: (response) => response.writeHead(500).end(),
    is: 'unknown',
    status: 'SERVER_ERROR',
  },
  'a connection closed without a response is unknown': {
    serve: (response) => response.destroy(),
    is: 'unknown',
    status: 'DELIVERY_UNKNOWN',
  },
  'a truncated response is unknown': {
    serve: (response) => {
      response.writeHead(200, { 'content-length': 9 }).write('{}');
      setImmediate(() => response.destroy());
    },
    is: 'unknown',
    status: 'BAD_RESPONSE',
  },
  'a response that is not JSON is unknown': {
    serve: (response) => response.end('<html>'),
    is: 'unknown',
    status: 'BAD_RESPONSE',
  },
  'a response without body and length is unknown': {
    peer: answering('HTTP/1.1 200 OK\r\n\r\n'),
    is: 'unknown',
    status: 'BAD_RESPONSE',
  },
  'a response that is not HTTP is unknown': {
    peer: answering('220 ready\r\n\r\n'),
    is: 'unknown',
    status: 'DELIVERY_UNKNOWN',
  },
  'no response before the deadline is unknown': {
    peer: () => {},
    is: 'unknown',
    status: 'DELIVERY_UNKNOWN',
    cause: 'timeout',
  },
  'a peer without TLS is not sent': {
    peer: (socket) => socket.once('data', () => socket.end('no TLS')),
    scheme: 'https',
    is: 'not_sent',
    status: 'NOT_SENT',
    cause: 'tls',
  },
  'a closed port is not sent': { peer: null, is: 'not_sent', status: 'NOT_SENT', cause: 'connect' },
};

describe('cancel', suite, () => {
  it('ends at once on SIGTERM although the server is silent', { timeout }, async () => {
    let arrived;
    const request = new Promise((resolve) => {
      arrived = resolve;
    });
    await withPeer(
      (socket) => socket.once('data', arrived),
      async (address) => {
        const program = start('cancel', address, ['my-channel', 'my-event', '{}']);
        await program.until(() => 'request', request);
        const before = performance.now();
        const code = await program.stop();
        const took = performance.now() - before;
        assert.deepEqual([code, took < 500], [3, true], `${took} ms`);
        assert.match(program.stderr, /^DELIVERY_UNKNOWN: .*cancelled; the event may have been delivered\n$/);
      },
    );
  });

  it('ends at once on SIGTERM while nothing is sent', { timeout }, async () => {
    let answered;
    const response = new Promise((resolve) => {
      answered = resolve;
    });
    const serve = (to) => accept(to.on('finish', answered));
    await withApi(serve, async (address) => {
      const program = start('cancel', address, ['my-channel', 'my-event', '{}']);
      await program.until(() => 'request', response);
      // It reads the response, and rests for a second.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(await program.stop(), 0, program.stderr);
    });
  });
});

for (const program of ['libcurl_transport', 'libcurl_multi', 'epoll']) {
  describe(program, suite, () => {
    const single = program === 'libcurl_transport';
    const args = single ? ['my-channel', 'my-event', '{"n":0}'] : ['my-channel', 'my-event', '1'];
    const summary = (is, count = 1) =>
      ['delivered', 'not_sent', 'rejected', 'unknown']
        .map((one) => `${is === one ? count : 0} ${one.replace('_', ' ')}`)
        .join(', ');

    for (const [title, { serve, peer, scheme = 'http', is, ...expected }] of Object.entries(outcomes)) {
      it(title, { timeout }, async () => {
        const check = async (address) => {
          const { code, stdout, stderr } = await run(program, address.replace('http', scheme), args);
          assert.equal(code, is === 'delivered' ? 0 : 1, stderr);
          if (!single) assert.equal(stdout, `${summary(is)}\n`);
          if (is === 'delivered') return;
          const { error } = JSON.parse(single ? stdout : stderr);
          for (const [key, value] of Object.entries({ delivery: is, ...expected }))
            assert.equal(error[key], value, JSON.stringify(error));
          assert.doesNotMatch(stdout + stderr, /some-secret|auth_signature/);
        };
        if (serve) {
          const requests = await withApi(serve, check);
          assert.equal(requests.length, 1);
          assert.deepEqual(JSON.parse(requests[0].text), {
            name: 'my-event',
            channels: ['my-channel'],
            data: '{"n":0}',
          });
          assert.equal(requests[0].headers['content-type'], 'application/json');
          assert.equal(requests[0].headers.expect, undefined);
        } else if (peer) {
          await withPeer(peer, check);
        } else {
          await withPeer(
            () => {},
            async (address, stop) => {
              await stop();
              await check(address);
            },
          );
        }
      });
    }

    const reuses = program !== 'epoll';
    it('reuses connections, and does not retry when one is closed', { timeout, skip: !reuses }, async () => {
      // The server reads a request on a reused connection, then closes the connection: the event may have been delivered.
      const used = new Set();
      let died = false;
      const serve = (response, count, { socket }) => {
        if (died || count < 3 || !used.has(socket)) {
          used.add(socket);
          accept(response);
        } else {
          died = true;
          response.destroy();
        }
      };
      const several = single ? [...args, '4'] : ['my-channel', 'my-event', '40'];
      const count = single ? 4 : 40;
      const requests = await withApi(serve, async (address) => {
        const { code, stdout, stderr } = await run(program, address, several);
        assert.equal(code, 1);
        if (single) {
          const answers = stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line));
          assert.deepEqual(
            answers.map((answer) => answer.error?.delivery),
            [undefined, undefined, 'unknown', undefined],
          );
        } else {
          assert.equal(stdout, `${count - 1} delivered, 0 not sent, 0 rejected, 1 unknown\n`, stderr);
        }
      });
      assert.equal(requests.length, count);
      assert.ok(died);
      // Ignores the query: it contains the time, which may change between two requests.
      assert.equal(new Set(requests.map(({ target, text }) => target.split('?')[0] + text)).size, single ? 1 : count);
      if (single)
        assert.deepEqual(
          [0, 1, 2, 3].map((i) => requests[0].socket === requests[i].socket),
          [true, true, true, false],
        );
    });

    if (!single) {
      it('has 32 requests in flight, and sends each event once', { timeout }, async () => {
        let most = 0;
        const held = [];
        const serve = (response) => {
          held.push(response);
          most = Math.max(most, held.length);
          if (held.length === 32) held.splice(0).forEach(accept);
        };
        const requests = await withApi(serve, async (address) => {
          const { code, stdout } = await run(program, address, ['my-channel', 'my-event', '320']);
          assert.deepEqual({ code, stdout }, { code: 0, stdout: `${summary('delivered', 320)}\n` });
        });
        assert.equal(most, 32);
        const numbers = requests.map(({ text }) => JSON.parse(JSON.parse(text).data).n).sort((a, b) => a - b);
        assert.deepEqual(
          numbers,
          Array.from({ length: 320 }, (_, i) => i),
        );
      });
    }
  });
}
