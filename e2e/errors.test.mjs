// Tests the status and the delivery that the library reports when real servers refuse a request.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { app, names, showing, start } from '../tools/servers/servers.mjs';
import { Subscriber } from '../tools/servers/subscriber.mjs';
import { Client } from './program.mjs';

const timeout = 60_000;

const event = (data) => ({ channel: 'c', name: 'e', data });
const channels = Array.from({ length: 101 }, (_, i) => `c${i}`);
const events = Array.from({ length: 11 }, (_, i) => event(i));
const text = (bytes) => JSON.stringify('x'.repeat(bytes));

const ok = { status: 'OK' };
const refused = (status, http_status, delivery, response) => ({ status, http_status, delivery, response });

// Each case is a call and its result on each server. The limits of the configuration are raised (LOOSE), so that requests
// that the library would refuse reach the servers. soketi responds with 200 and puts the status code in the body.
// The library cannot send a wrong body_md5, a request without parameters, or another content type.
const LOOSE = {
  max_data_bytes: 32 * 1024 * 1024,
  max_batch_events: 1000,
  max_channels: 1000,
  timeout_ms: 30_000,
  retry: { mode: 'never' },
};
const cases = {
  'a wrong secret': {
    config: { secret: 'wrong' },
    call: ['trigger', 'c', 'e', '{}'],
    sockudo: refused('UNAUTHORIZED', 401, 'rejected', /"auth_failed"/),
    soketi: refused('UNAUTHORIZED', 200, 'rejected', /"code":401/),
  },
  'a wrong secret on a query': {
    config: { secret: 'wrong' },
    call: ['channels_info'],
    sockudo: refused('UNAUTHORIZED', 401, undefined, /"auth_failed"/),
    soketi: refused('UNAUTHORIZED', 200, undefined, /"code":401/),
  },
  'an unknown key': {
    config: { key: 'unknown' },
    call: ['trigger', 'c', 'e', '{}'],
    sockudo: refused('NOT_FOUND', 404, 'rejected', /"app_not_found"/),
    soketi: ok, // soketi checks the application's id only
  },
  'an unknown application': {
    config: { app_id: 'unknown' },
    call: ['trigger', 'c', 'e', '{}'],
    sockudo: refused('UNAUTHORIZED', 401, 'rejected', /"auth_failed"/),
    soketi: refused('NOT_FOUND', 200, 'rejected', /"code":404/),
  },
  '10,241 bytes': {
    call: ['trigger', 'c', 'e', text(10_241)],
    sockudo: refused('PAYLOAD_TOO_LARGE', 413, 'rejected', /"payload_too_large"/),
    soketi: ok, // up to 100 KB
  },
  '110 KB': {
    call: ['trigger', 'c', 'e', text(110 * 1024)],
    sockudo: refused('PAYLOAD_TOO_LARGE', 413, 'rejected', /"payload_too_large"/),
    soketi: refused('PAYLOAD_TOO_LARGE', 200, 'rejected', /"code":413/),
  },
  '11 MB, with a refusal in plain text': {
    call: ['trigger', 'c', 'e', text(11 * 1024 * 1024)],
    sockudo: refused('PAYLOAD_TOO_LARGE', 413, 'rejected', /^Failed to buffer the request body/),
    soketi: refused('PAYLOAD_TOO_LARGE', 200, 'rejected', /"code":413/),
  },
  'one event of a batch that is too large': {
    call: ['trigger_batch', [event('small'), event('x'.repeat(110 * 1024))]],
    sockudo: refused('PAYLOAD_TOO_LARGE', 413, 'unknown', /"payload_too_large"/),
    soketi: refused('PAYLOAD_TOO_LARGE', 200, 'unknown', /"code":413/),
  },
  '101 channels': {
    call: ['trigger', channels, 'e', '{}'],
    sockudo: refused('BAD_REQUEST', 400, 'unknown', /"limit_exceeded"/),
    soketi: refused('BAD_REQUEST', 200, 'unknown', /"code":400/),
  },
  'a batch of 11': {
    call: ['trigger_batch', events],
    sockudo: refused('BAD_REQUEST', 400, 'unknown', /"limit_exceeded"/),
    soketi: refused('BAD_REQUEST', 200, 'unknown', /"code":400/),
  },
  'a long event name': {
    call: ['post', '/events', null, { name: 'n'.repeat(201), channel: 'c', data: '' + 1 }],
    sockudo: refused('BAD_REQUEST', 400, 'unknown', /"limit_exceeded"/),
    soketi: refused('BAD_REQUEST', 200, 'unknown', /"code":400/),
  },
  'the users of a channel that is not a presence channel': {
    call: ['users_info', 'public'],
    sockudo: refused('BAD_REQUEST', 400, undefined, /"invalid_input"/),
    soketi: refused('BAD_REQUEST', 200, undefined, /"code":400/),
  },
  'user_count of a channel that is not a presence channel': {
    call: ['channel_info', 'public', 'user_count'],
    sockudo: refused('BAD_REQUEST', 400, undefined, /"invalid_input"/),
    soketi: ok, // soketi omits user_count
  },
  'JSON of the wrong shape': {
    call: ['post', '/batch_events', null, { batch: 1 }],
    sockudo: refused('BAD_REQUEST', 422, 'unknown', /^Failed to deserialize the JSON body/),
    soketi: null, // soketi would exit
  },
  'an event without a name': {
    call: ['post', '/events', null, { channel: 'c', data: 'x' }],
    sockudo: refused('BAD_REQUEST', 400, 'unknown', /"invalid_input"/),
    soketi: refused('BAD_REQUEST', 200, 'unknown', /"code":400/),
  },
  'an unknown path': {
    call: ['get', '/nothing'],
    sockudo: refused('NOT_FOUND', 404, undefined, /^404 NOT FOUND/),
    soketi: refused('NOT_FOUND', 404, undefined, undefined),
  },
  'posting to an unknown path': {
    call: ['post', '/nothing', null, {}],
    sockudo: refused('NOT_FOUND', 404, 'rejected', /^404 NOT FOUND/),
    soketi: refused('NOT_FOUND', 404, 'rejected', undefined),
  },
  'the wrong method': {
    call: ['get', '/events'],
    sockudo: refused('BAD_REQUEST', 405, undefined, undefined),
    soketi: refused('NOT_FOUND', 404, undefined, undefined),
  },
};

for (const name of names) {
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;

  describe(`refusals of ${name}`, { skip }, () => {
    let server;
    before(
      async () => {
        server = await start(name);
      },
      { timeout },
    );
    after(() => server?.stop());

    /** Runs `body` with a client of the server. */
    const withClient = async (changes, body) => {
      const client = new Client({ url: server.url, ...LOOSE, ...changes });
      try {
        await body(client);
      } finally {
        await client.stop();
      }
    };

    const test = (title, body) => it(title, { timeout }, () => showing(server, body));

    for (const [title, { config, call, [name]: expected }] of Object.entries(cases)) {
      if (expected === null) continue;
      test(title, () =>
        withClient(config, async (client) => {
          const { status, delivery, document } = await client.call(...call);
          const { status: name, http_status, delivery: said, response, message } = document.error ?? { status };
          assert.equal(status, expected.status, JSON.stringify(document));
          if (expected === ok) return;
          assert.deepEqual([name, http_status], [expected.status, expected.http_status]);
          assert.deepEqual([delivery, said], [expected.delivery, expected.delivery]);
          if (expected.response) assert.match(response, expected.response);
          else assert.equal(response, undefined);
          assert.doesNotMatch(JSON.stringify(document), /test-secret|wrong|auth_signature|[0-9a-f]{64}/);
          assert.notEqual(message, '');
        }),
      );
    }

    test('with the default limits the library refuses these requests itself', () =>
      withClient(
        {
          max_data_bytes: 10_240,
          max_batch_events: 10,
          max_channels: 100,
          host: '127.0.0.1',
          port: 1,
        },
        async (client) => {
          for (const [status, ...call] of [
            ['PAYLOAD_TOO_LARGE', 'trigger', 'c', 'e', text(10_241)],
            ['INVALID_ARGUMENT', 'trigger', channels, 'e', '{}'],
            ['INVALID_ARGUMENT', 'trigger_batch', events],
            ['INVALID_ARGUMENT', 'trigger', 'c', 'e'.repeat(201), '{}'],
            ['INVALID_ARGUMENT', 'post', '/events', null, '{"name":'],
          ]) {
            const answer = await client.call(...call);
            assert.deepEqual(
              [answer.status, answer.document.error.http_status],
              [status, undefined],
              JSON.stringify(answer),
            );
          }
        },
      ));

    test('a refused batch is unknown, because a server may have published some of its events', () =>
      withClient({}, async (client) => {
        const subscriber = await Subscriber.connect(server, ['part', 'mark']);
        try {
          const parts = [
            { channel: 'part', name: 'good', data: 1 },
            { channel: 'part', name: 'too large', data: 'x'.repeat(110 * 1024) },
          ];
          assert.equal((await client.call('trigger_batch', parts)).delivery, 'unknown');
          await client.ok('trigger', 'mark', 'mark', '{}');
          await subscriber.wait('mark');
          // One server stops at the event that it refuses, the other checks all events first.
          assert.equal(subscriber.of('good').length, name === 'sockudo' ? 1 : 0);
          assert.equal(subscriber.of('too large').length, 0);
        } finally {
          await subscriber.close();
        }
      }));
  });
}

/** Opens a WebSocket connection. */
const connect = ({ host, port }) =>
  new Promise((resolve, reject) => {
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    };
    const request = get({
      host,
      port,
      path: `/app/${app.key}?protocol=7&client=test&version=1`,
      headers,
      agent: false,
    });
    request.on('upgrade', (_, socket) => resolve(socket.on('error', () => {})));
    request.on('response', ({ statusCode }) => reject(new Error(`no WebSocket: ${statusCode}`)));
    request.on('error', reject);
  });

describe('a busy sockudo', { skip: process.env.SKIP_SOCKUDO || false }, () => {
  /** Runs `body` with a sockudo with these options, and a client. */
  const withServer = async (options, body) => {
    const server = await start('sockudo', options);
    const client = new Client({ url: server.url, retry: { mode: 'never' } });
    try {
      await showing(server, () => body(client, server));
    } finally {
      await client.stop();
      await server.stop();
    }
  };

  it('reports its rate limit (429) as rejected, with the time to wait', { timeout }, () =>
    withServer({ rateLimit: 3 }, async (client) => {
      for (let i = 0; i < 3; i++) await client.ok('trigger', 'c', 'e', '{}');
      const {
        status,
        delivery,
        document: { error },
      } = await client.call('trigger', 'c', 'e', '{}');
      assert.deepEqual([status, delivery, error.http_status, error.retryable], ['RATE_LIMITED', 'rejected', 429, true]);
      assert.ok(error.retry_after_ms > 1000 && error.retry_after_ms <= 60_000, `${error.retry_after_ms}`);
      assert.equal((await client.call('channels_info')).status, 'RATE_LIMITED');
    }),
  );

  it('reports a draining server (503) as unknown, with the time to wait', { timeout }, () =>
    withServer({ grace: 3 }, async (client, server) => {
      // The server drains as long as a client is connected. (pusher-js would try to reconnect for ever.)
      const connection = await connect(server);
      try {
        server.drain();
        let answer;
        do answer = await client.call('trigger', 'c', 'e', '{}');
        while (answer.status === 'OK');
        const {
          status,
          delivery,
          document: { error },
        } = answer;
        assert.deepEqual(
          [status, delivery, error.http_status, error.retryable, error.retry_after_ms],
          ['SERVER_ERROR', 'unknown', 503, false, 3000],
          JSON.stringify(error),
        );
      } finally {
        connection.destroy();
      }
    }),
  );
});
