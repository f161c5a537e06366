// Tests the facts about soketi and sockudo in docs/servers.md with the real servers. Each test has the name of a row there:
// tests/repository/servers.rs compares them.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { names, showing, start } from '../tools/servers/servers.mjs';
import { Subscriber } from '../tools/servers/subscriber.mjs';
import { Client } from './program.mjs';

const timeout = 60_000;
const event = (data) => ({ channel: 'c', name: 'e', data });

for (const name of names) {
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;

  describe(`facts about ${name}`, { skip }, () => {
    let server;
    let knowing; // a client that knows the kind of server
    let client; // a client that does not, with higher limits
    let subscriber;

    before(
      async () => {
        server = await start(name);
        const retry = { mode: 'never' };
        knowing = new Client({ server: name, url: server.url, retry });
        client = new Client({ url: server.url, retry, max_data_bytes: 1_000_000 });
        subscriber = await Subscriber.connect(server, ['c']);
      },
      { timeout },
    );

    after(async () => {
      await subscriber?.close();
      await client?.stop();
      await knowing?.stop();
      await server?.stop();
    });

    /** Tests a fact about one of the servers. */
    const fact = (about, title, body) => {
      if (about === name) it(title, { timeout }, () => showing(server, body));
    };

    let marks = 0;
    /** Waits until all events triggered so far have arrived. */
    const arrived = async () => {
      const mark = `mark-${marks++}`;
      await client.ok('trigger', 'c', mark, '{}');
      await subscriber.wait(mark);
    };

    /** Asserts that the server refuses an event with this data, and the client that knows the server does so itself. */
    const refusesData = async (data, status, delivery, itself) => {
      const refusal = await client.call('trigger', 'c', 'e', JSON.stringify(data));
      assert.deepEqual([refusal.status, refusal.delivery], [status, delivery], JSON.stringify(refusal));
      const unsent = await knowing.call('trigger', 'c', 'e', JSON.stringify(data));
      assert.deepEqual([unsent.status, unsent.delivery], [itself, 'not_sent'], JSON.stringify(unsent));
    };

    /** Publishes a batch of a good event and one that is too large, and returns how many of its events arrive. */
    const arrivalsOfBatch = async (title) => {
      const parts = [{ ...event('good'), name: title }, event('x'.repeat(110 * 1024))];
      assert.equal((await client.call('trigger_batch', parts)).delivery, 'unknown');
      await arrived();
      return subscriber.of(title).length;
    };

    fact('soketi', 'answers an error with 200 and a code', async () => {
      const wrong = new Client({ url: server.url.replace('test-secret', 'wrong') });
      try {
        const { status, delivery, document } = await wrong.call('trigger', 'c', 'e', '1');
        assert.deepEqual([status, delivery, document.error.http_status], ['UNAUTHORIZED', 'rejected', 200]);
      } finally {
        await wrong.stop();
      }
    });

    fact('soketi', 'refuses data that is empty, with 400', () =>
      refusesData('', 'BAD_REQUEST', 'rejected', 'INVALID_ARGUMENT'),
    );

    fact('soketi', 'takes data of 102,400 bytes', async () => {
      await knowing.ok('trigger', 'c', 'large', JSON.stringify('x'.repeat(102_400)));
      await subscriber.wait('large');
      await refusesData('x'.repeat(102_401), 'PAYLOAD_TOO_LARGE', 'rejected', 'PAYLOAD_TOO_LARGE');
    });

    fact('soketi', 'checks a whole batch before it publishes an event', async () => {
      assert.equal(await arrivalsOfBatch('whole'), 0);
    });

    fact('soketi', 'ignores info of an event', async () => {
      assert.deepEqual(await knowing.ok('trigger', 'c', 'e', '1', '{"info":"subscription_count"}'), { ok: true });
    });

    fact('soketi', 'refuses a private channel whose channel_data is signed, with 401', async () => {
      /** Subscribes with the authorization of a client, and returns pusher-js's error, if there is one. */
      const subscribed = async (channel, data) => {
        const endpoint = createServer((request, response) => {
          text(request).then(async (body) => {
            const socketId = new URLSearchParams(body).get('socket_id');
            const answer = await client.ok('authenticate', channel, socketId, ...data);
            response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer));
          });
        });
        await new Promise((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
        const authorizer = `http://127.0.0.1:${endpoint.address().port}`;
        let other;
        try {
          other = await Subscriber.connect(server, [channel], { authorizer, token: 'any' });
          return '';
        } catch (error) {
          return error.message;
        } finally {
          await other?.close();
          endpoint.closeAllConnections();
          endpoint.close();
        }
      };
      assert.equal(await subscribed('private-c', []), '');
      assert.match(await subscribed('private-c', ['{"a":1}']), /AuthError.*401/);
      const itself = await knowing.call('authenticate', 'private-c', '1.2', '{"a":1}');
      assert.deepEqual([itself.status, itself.document.error.argument], ['INVALID_ARGUMENT', 'channel_data']);
    });

    fact('sockudo', 'refuses data of more than 10,240 bytes with 413', () =>
      refusesData('x'.repeat(10_241), 'PAYLOAD_TOO_LARGE', 'rejected', 'PAYLOAD_TOO_LARGE'),
    );

    fact('sockudo', 'takes data that is empty', async () => {
      await knowing.ok('trigger', 'c', 'empty', '""');
      await subscriber.wait('empty');
    });

    fact('sockudo', 'stops at the first event of a batch that it refuses', async () => {
      assert.equal(await arrivalsOfBatch('part'), 1);
    });

    fact('sockudo', 'publishes a request with a key only once', async () => {
      const batch = [
        { ...event(1), name: 'once' },
        { ...event(2), name: 'once' },
      ];
      for (let time = 0; time < 2; time++) {
        await knowing.ok('trigger', 'c', 'once', '0', { idempotency_key: 'once' });
        await knowing.ok('trigger_batch', batch, { idempotency_key: 'once' });
      }
      await arrived();
      assert.deepEqual(
        subscriber.of('once').map(({ raw }) => raw),
        ['0', '1', '2'],
      );
      // A client that knows the server makes a key for each request.
      await knowing.ok('trigger', 'c', 'twice', '0');
      await knowing.ok('trigger', 'c', 'twice', '0');
      await subscriber.wait('twice', 2);
    });

    fact('sockudo', 'drops another body with a key that it knows, and answers 200', async () => {
      for (const data of ['1', '2']) await client.ok('trigger', 'c', 'dropped', data, { idempotency_key: 'dropped' });
      await arrived();
      assert.deepEqual(
        subscriber.of('dropped').map(({ raw }) => raw),
        ['1'],
      );
    });

    fact('sockudo', 'answers 503 for the key of a request that failed', async () => {
      const parts = [event('good'), event('x'.repeat(11 * 1024))];
      const options = { idempotency_key: 'failed' };
      assert.equal((await client.call('trigger_batch', parts, options)).status, 'PAYLOAD_TOO_LARGE');
      const { status, delivery, document } = await client.call('trigger_batch', parts, options);
      assert.deepEqual([status, delivery], ['SERVER_ERROR', 'unknown']);
      assert.deepEqual([document.error.http_status, document.error.retry_after_ms], [503, 1000]);
    });

    fact('sockudo', 'answers info of an event', async () => {
      const answer = await knowing.ok('trigger', 'c', 'e', '1', '{"info":"subscription_count"}');
      assert.equal(answer.channels.c.subscription_count, 1);
    });

    fact('sockudo', 'takes colons and hashes in the names of channels', async () => {
      const names = ['tenant-42:orders', 'dialog:a', 'dialog:a#42,43'];
      const listener = await Subscriber.connect(server, names.slice(0, 2));
      try {
        await knowing.ok('trigger', names, 'named', '1');
        await knowing.ok('trigger', 'tenant-42:orders', 'last', '1');
        await listener.wait('last');
        assert.deepEqual(
          listener
            .of('named')
            .map((got) => got.channel)
            .sort(),
          ['dialog:a', 'tenant-42:orders'],
        );
        const { channels } = await knowing.ok('channels_info', 'tenant-42:');
        assert.deepEqual(Object.keys(channels), ['tenant-42:orders']);
        // No name begins with a colon, or has a namespace that the server does not know.
        assert.equal(
          (await client.call('post', '/events', null, { ...event('1'), channel: ':a' })).status,
          'BAD_REQUEST',
        );
        assert.equal((await knowing.call('trigger', 'no:one', 'e', '1')).status, 'BAD_REQUEST');
      } finally {
        await listener.close();
      }
    });

    fact('sockudo', 'verifies a path as it is sent', async () => {
      const info = await knowing.ok('channel_info', 'dialog:a#42,43', 'subscription_count');
      assert.equal(info.subscription_count, 0);
      assert.equal((await knowing.call('get', '/channels/dialog:a#42,43')).status, 'OK');
    });

    fact('sockudo', 'has serials with colons in its paths', async () => {
      const serial = '00000000000000000001:test:00000000000000000001';
      const { status, document } = await knowing.call('get', `/channels/c/messages/${serial}/versions`);
      // There is no such message, or the feature is off. The signature was right.
      assert.ok([404, 422].includes(document.error.http_status), `${status}: ${JSON.stringify(document)}`);
    });
  });
}
