// Tests the publisher example with a fake API.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const timeout = 60_000;
const program = fileURLToPath(new URL('../build/e2e/publisher', import.meta.url));

/** Runs `body` with the URL of an API that calls `serve(response, events)`, and returns all received events in order. */
async function withApi(serve, body) {
  const all = [];
  const api = createServer((request, response) => {
    let text = '';
    request
      .setEncoding('utf8')
      .on('data', (part) => {
        text += part;
      })
      .on('end', () => {
        const posted = JSON.parse(text);
        const events = posted.batch ?? posted.channels.map((channel) => ({ ...posted, channel }));
        all.push(...events.map(({ channel, name, data }) => ({ channel, name, data: JSON.parse(data) })));
        serve(response, all.length);
      });
  });
  await once(api.listen(0, '127.0.0.1'), 'listening');
  try {
    await body(`http://some-key:some-secret@127.0.0.1:${api.address().port}/apps/1`);
  } finally {
    api.closeAllConnections();
    await new Promise((resolve) => api.close(resolve));
  }
  return all;
}

const accept = (response) => response.end('{}');

/** Starts the program. `done` resolves to its exit code and output. */
function start(url, args) {
  const child = spawn(program, args, { env: { ...process.env, PUSHER_URL: url } });
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', (part) => {
      written[name] += part;
    });
  return { child, done: once(child, 'close').then(([code]) => ({ code, ...written })) };
}

describe('publisher, the example program', { timeout: 300_000 }, () => {
  it('delivers all events in order, in batches, and reports the counts', { timeout }, async () => {
    const events = await withApi(accept, async (url) => {
      const { code, stdout, stderr } = await start(url, ['my-channel', 'my-event', '1000']).done;
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      const stats = JSON.parse(stdout);
      assert.deepEqual([stats.events.published, stats.events.delivered, stats.queue.events], [1000, 1000, 0]);
      assert.ok(stats.requests < 500, `${stats.requests} requests`);
    });
    assert.deepEqual(
      events.map(({ data }) => data.n),
      Array.from({ length: 1000 }, (_, n) => n),
    );
    assert.deepEqual({ ...events[0], data: 0 }, { channel: 'my-channel', name: 'my-event', data: 0 });
  });

  it('reports the events that failed', { timeout }, async () => {
    await withApi(
      (response) => response.writeHead(403).end('no'),
      async (url) => {
        const { code, stdout, stderr } = await start(url, ['my-channel', 'my-event', '3']).done;
        assert.equal(code, 2);
        const reports = stderr
          .trim()
          .split('\n')
          .flatMap((line) => JSON.parse(line).reports);
        assert.deepEqual(
          reports.map(({ id, delivery, status }) => [id, delivery, status]),
          [1, 2, 3].map((id) => [id, 'rejected', 'FORBIDDEN']),
        );
        assert.equal(JSON.parse(stdout).events.rejected, 3);
        assert.doesNotMatch(stdout + stderr, /some-secret|auth_signature/);
      },
    );
  });

  it('sends all queued events when it is interrupted', { timeout }, async () => {
    let running;
    const events = await withApi(
      (response, count) => {
        accept(response);
        if (count >= 5) running.child.kill('SIGINT');
      },
      async (url) => {
        running = start(url, ['my-channel', 'my-event', '1000000', '200']);
        const { code, stdout } = await running.done;
        assert.equal(code, 2);
        const stats = JSON.parse(stdout);
        assert.equal(stats.events.delivered, stats.events.published);
        assert.ok(stats.events.published >= 5);
      },
    );
    assert.deepEqual(
      events.map(({ data }) => data.n),
      events.map((_, n) => n),
    );
  });

  it('prints its usage', { timeout }, async () => {
    for (const args of [
      [],
      ['c', 'e'],
      ['c', 'e', '0'],
      ['c', 'e', 'x'],
      ['c', 'e', '1', '0'],
      ['c', 'e', '1', '2', '3'],
    ]) {
      const { code, stderr } = await start('http://k:s@127.0.0.1:1/apps/1', args).done;
      assert.deepEqual(
        { code, usage: stderr.startsWith('usage: publisher ') },
        { code: 1, usage: true },
        args.join(' '),
      );
    }
  });
});
