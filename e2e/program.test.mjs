// Tests the output and exit codes of `trigger` if the event is not delivered or its delivery is unknown; needs no server.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { trigger } from './program.mjs';

const timeout = 60_000;

/** Runs `body` with the URL of a peer that calls `serve(socket)`, and returns the number of connections. */
async function withPeer(serve, body) {
  const sockets = [];
  const peer = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    serve(socket);
  });
  await new Promise((resolve, reject) => peer.once('error', reject).listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://some-key:some-secret@127.0.0.1:${peer.address().port}/apps/1`);
  } finally {
    sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => peer.close(resolve));
  }
  return sockets.length;
}

/** Returns a `serve` that reads one request, responds with `text` (which may be empty), and closes the connection. */
const answering = (text) => (socket) => {
  let request = '';
  socket.setEncoding('latin1').on('data', (part) => {
    request += part;
    const [head, body] = request.split('\r\n\r\n');
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (body?.length === Number(length)) socket.end(text);
  });
};

const reply = (status, body) => `HTTP/1.1 ${status} Text\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

async function ends(url, args, code, message, input) {
  const result = await trigger(url, args, input);
  assert.deepEqual({ code: result.code, stdout: result.stdout }, { code, stdout: '' }, result.stderr);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /some-secret/);
}

const silent = () => {};

describe('trigger, the example program', { timeout: 600_000 }, () => {
  it('refuses 10,241 bytes before it connects', { timeout }, async () => {
    const connections = await withPeer(silent, async (url) => {
      const data = `"${'x'.repeat(10_241)}"`;
      await ends(url, ['my-channel', 'my-event', '-'], 2, /^trigger: PAYLOAD_TOO_LARGE \(not sent\): .*10241/, data);
    });
    assert.equal(connections, 0);
  });

  it('refuses invalid arguments before it connects', { timeout }, async () => {
    const connections = await withPeer(silent, async (url) => {
      const wrong = async (args, message, input) => ends(url, args, 1, message, input);
      await wrong(['no/channel', 'e', '{}'], /^trigger: INVALID_ARGUMENT \(not sent\): channels/);
      await wrong(['["a","b c"]', 'e', '{}'], /channels\[1\]/);
      await wrong(['c', '', '{}'], /: event/);
      await wrong(['c', 'e', '{'], /: data/);
      await wrong(['c', 'e', '-'], /: data/, '');
      await wrong(['c', 'e', '-'], /NUL/, '{}\0');
      await wrong(['c', 'e', '-'], /data.* UTF-8/, Buffer.from([0x22, 0xff, 0x22]));
      for (const id of ['1', '1.1\n', '1.1","info":"x', '1.1\\', '"', '\x01\x1f', 'ä']) {
        await wrong(['--socket-id', id, 'c', 'e', '{}'], /INVALID_ARGUMENT \(not sent\): options\.socket_id/);
      }
      await wrong(['--info', 'a","timeout_ms":1,"b":"', 'c', 'e', '{}'], /options\.info/);
      for (const ms of ['', '-1', '1e3', '01', '0', '1}', '1234567890', ' 1']) {
        await wrong(['--timeout-ms', ms, 'c', 'e', '{}'], /^trigger: not a number of milliseconds/);
      }
      await wrong(['--timeout-ms', '600001', 'c', 'e', '{}'], /options\.timeout_ms/);
    });
    assert.equal(connections, 0);
  });

  it('prints its usage', { timeout }, async () => {
    const help = await trigger(null, ['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /^usage: trigger /);
    const three = ['c', 'e', '{}'];
    for (const args of [[], ['c', 'e'], [...three, 'more'], ['--', 'c', 'e'], ['--no-such', ...three], ['--info']]) {
      await ends(null, args, 1, /^trigger: .+\nTry trigger --help\.\n$/);
    }
  });

  it('names the error in its configuration without printing a secret', { timeout }, async () => {
    const args = ['c', 'e', '{}'];
    await ends(null, args, 1, /^trigger: INVALID_CONFIG \(not sent\): .*PUSHER_URL/);
    await ends('http://k:some-secret@', args, 1, /^trigger: INVALID_CONFIG \(not sent\): /);
    const config = '{"app_id":1,"key":"k","secret":"some-secret","colour":1}';
    await ends(null, ['--config', config, ...args], 1, /colour/);
  });

  it('takes --config instead of the environment', { timeout }, async () => {
    await withPeer(answering(reply(200, '{}')), async (url) => {
      const { code, stdout } = await trigger('http://k:s@127.0.0.1:1/apps/1', [
        '--config',
        url,
        '--',
        '-c',
        '-e',
        '-1',
      ]);
      assert.deepEqual({ code, stdout }, { code: 0, stdout: '{}\n' });
    });
  });

  it('ends with 2 and "not sent" if the port is closed', { timeout }, async () => {
    let closed;
    await withPeer(silent, (url) => {
      closed = url;
    });
    await ends(closed, ['c', 'e', '{}'], 2, /^trigger: NOT_SENT: /);
  });

  it('ends with 3 and "rejected" if the server refuses', { timeout }, async () => {
    await withPeer(answering(reply(429, 'slow down')), async (url) => {
      await ends(url, ['c', 'e', '{}'], 3, /^trigger: RATE_LIMITED \(rejected\): /);
    });
  });

  it('ends with 4 and "unknown" if the event may have been delivered', { timeout }, async () => {
    const unknown = '\\(unknown, it may have been delivered\\): ';
    await withPeer(silent, async (url) => {
      await ends(url, ['--timeout-ms', '300', 'c', 'e', '{}'], 4, RegExp(`^trigger: DELIVERY_UNKNOWN ${unknown}`));
    });
    await withPeer(answering(''), async (url) => {
      await ends(url, ['c', 'e', '{}'], 4, RegExp(`^trigger: DELIVERY_UNKNOWN ${unknown}`));
    });
    await withPeer(answering(reply(500, '')), async (url) => {
      await ends(url, ['c', 'e', '{}'], 4, RegExp(`^trigger: SERVER_ERROR ${unknown}`));
    });
    await withPeer(answering(reply(200, '<html>')), async (url) => {
      await ends(url, ['c', 'e', '{}'], 4, RegExp(`^trigger: BAD_RESPONSE ${unknown}`));
    });
  });
});
