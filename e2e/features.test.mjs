// Tests every feature with real servers. pusher-js receives the events of the library; the example programs authorize
// pusher-js and receive the webhooks.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import { fetched, names, showing, start } from '../tools/servers/servers.mjs';
import { Subscriber } from '../tools/servers/subscriber.mjs';
import { Client, Listener } from './program.mjs';

const timeout = 60_000;

// The features that only one server has. The tests assert each difference, so that they fail when it disappears.
const has = {
  sockudo: {
    infoOnTrigger: true, // returns attributes for `info` of triggers and batches
    userCountOfChannels: true, // `user_count` on channels_info
    cacheAttribute: true, // `cache` on channel_info
    presenceCache: false, // presence-cache- channels can be subscribed to
    subscriptionCountWebhook: true,
    clientEventUser: false, // client_event webhooks of presence channels name the user
    batchAnswer: {},
  },
  soketi: {
    infoOnTrigger: false,
    userCountOfChannels: false,
    cacheAttribute: false,
    presenceCache: true,
    subscriptionCountWebhook: false,
    clientEventUser: true,
    batchAnswer: { ok: true },
  },
};

/** Encrypts as pusher-js decrypts. (pusher-js itself sends no client events on encrypted channels.) */
function encrypt(text, sharedSecret) {
  const nacl = createRequire(`${fetched('pusher-js')[0]}/package.json`)('tweetnacl');
  const nonce = randomBytes(24);
  const ciphertext = nacl.secretbox(Buffer.from(text), nonce, Buffer.from(sharedSecret, 'base64'));
  return { nonce: nonce.toString('base64'), ciphertext: Buffer.from(ciphertext).toString('base64') };
}

for (const name of names) {
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;
  const its = has[name];

  describe(`the features of ${name}`, { skip }, () => {
    let server;
    let webhook;
    let authorize;
    let client;
    let alice;
    let bob;

    before(
      async () => {
        const config = { encryption_master_key_base64: randomBytes(32).toString('base64') };
        const programs = JSON.stringify({ ...config, url: 'http://test-key:test-secret@127.0.0.1/apps/100001' });
        webhook = await Listener.start('webhook', null, ['--config', programs]);
        authorize = await Listener.start('authorize', null, [
          '--config',
          programs,
          'token-a=alice',
          'token-b=bob',
          'token-c=carol',
        ]);
        server = await start(name, { webhook: `${webhook.address}/webhook` });
        client = new Client({ ...config, url: server.url });
        alice = await connect('token-a');
        bob = await connect('token-b');
      },
      { timeout },
    );

    after(async () => {
      await alice?.close();
      await bob?.close();
      await server?.stop();
      const codes = [await webhook?.stop(), await authorize?.stop()];
      await client?.stop();
      assert.deepEqual(codes, [0, 0]);
      // No webhook of a server was refused as forged.
      assert.equal(webhook.stderr, '');
    });

    const connect = (token, channels = []) =>
      Subscriber.connect(server, channels, { authorizer: authorize.address, token });

    const test = (title, body) => it(title, { timeout }, () => showing(server, body));

    /** Triggers an event with a unique name, and checks that the subscriber's handlers get `data`. */
    const arrives = async (subscriber, channel, event, data) => {
      await client.ok('trigger', channel, event, JSON.stringify(data));
      const [got] = await subscriber.wait(event);
      assert.deepEqual([got.channel, got.value], [channel, data]);
      return got;
    };

    test('private channels', async () => {
      await alice.subscribe(['private-a']);
      await webhook.event({ name: 'channel_occupied', channel: 'private-a' });
      await arrives(alice, 'private-a', 'private', { n: 1 });
      await assert.rejects(alice.subscribe(['private-user-bob']), /403/);
      const forger = await connect('no-such-token');
      try {
        await assert.rejects(forger.subscribe(['private-a']), /401/);
      } finally {
        await forger.close();
      }
    });

    test('presence channels with members, users and webhooks', async () => {
      await alice.subscribe(['presence-a']);
      await bob.subscribe(['presence-a']);
      await alice.wait('pusher_internal:member_added');
      const { members } = alice.pusher.channel('presence-a');
      assert.deepEqual([members.count, members.me.id, members.get('bob').info], [2, 'alice', { name: 'bob' }]);
      const { users } = await client.ok('users_info', 'presence-a');
      assert.deepEqual(users.map(({ id }) => id).sort(), ['alice', 'bob']);
      const channel = await client.ok('channel_info', 'presence-a', 'user_count,subscription_count');
      assert.deepEqual(channel, { occupied: true, user_count: 2, subscription_count: 2 });
      await arrives(bob, 'presence-a', 'presence', 'text');
      for (const user_id of ['alice', 'bob'])
        await webhook.event({ name: 'member_added', channel: 'presence-a', user_id });

      bob.pusher.unsubscribe('presence-a');
      await alice.wait('pusher_internal:member_removed');
      assert.equal(members.count, 1);
      await webhook.event({ name: 'member_removed', channel: 'presence-a', user_id: 'bob' });
    });

    test('encrypted channels: pusher-js decrypts the events, and the server cannot read them', async () => {
      await alice.subscribe(['private-encrypted-a', 'private-a']);
      const secret = { secret: 'Grüße 🎈' };
      const { raw } = await arrives(alice, 'private-encrypted-a', 'encrypted', secret);
      assert.deepEqual(Object.keys(JSON.parse(raw)).sort(), ['ciphertext', 'nonce']);
      await arrives(alice, 'private-encrypted-a', 'encrypted text', 'plain \n text');
      const events = [
        { channel: 'private-encrypted-a', name: 'encrypted in a batch', data: secret },
        { channel: 'private-a', name: 'not encrypted in a batch', data: 'open' },
      ];
      await client.ok('trigger_batch', events);
      assert.deepEqual((await alice.wait('encrypted in a batch'))[0].value, secret);
      assert.equal((await alice.wait('not encrypted in a batch'))[0].raw, 'open');
      const largest = 'x'.repeat(7619);
      await arrives(alice, 'private-encrypted-a', 'largest', largest);
      const { status } = await client.call('trigger', 'private-encrypted-a', 'e', JSON.stringify(`${largest}x`));
      assert.equal(status, 'PAYLOAD_TOO_LARGE');
    });

    test('cache channels: a new subscriber gets the last event or cache_miss', async () => {
      for (const [channel, missed] of [
        ['cache-a', 'cache-b'],
        ['private-cache-a', 'private-cache-b'],
        ['private-encrypted-cache-a', 'private-encrypted-cache-b'],
        ...(its.presenceCache ? [['presence-cache-a', 'presence-cache-b']] : []),
      ]) {
        await alice.subscribe([channel]);
        await arrives(alice, channel, `first on ${channel}`, { cached: channel });
        await bob.subscribe([channel]);
        assert.deepEqual((await bob.wait(`first on ${channel}`))[0].value, { cached: channel });

        const misses = bob.of('pusher:cache_miss').length;
        await bob.subscribe([missed]);
        assert.equal((await bob.wait('pusher:cache_miss', misses + 1)).at(-1).channel, missed);
        await webhook.event({ name: 'cache_miss', channel: missed });
      }
      const { cache } = await client.ok('channel_info', 'cache-a', 'cache');
      if (its.cacheAttribute) assert.deepEqual(JSON.parse(JSON.parse(cache.data).data), { cached: 'cache-a' });
      else assert.equal(cache, undefined);
    });

    if (!its.presenceCache) {
      test('presence-cache- channels are refused', async () => {
        const other = await connect('token-a');
        try {
          other.pusher.subscribe('presence-cache-a');
          const [error] = await other.wait('pusher:error');
          assert.match(JSON.stringify(error), /Missing channel_data for presence channel/);
        } finally {
          await other.close();
        }
      });
    }

    test('a signed-in user gets events on each connection, and can be disconnected', async () => {
      // Not alice: one of the servers also terminates connections of users who are only members of a presence channel.
      const [first, second] = [await connect('token-c'), await connect('token-c')];
      try {
        assert.deepEqual(await first.signIn(), { id: 'carol', user_info: { name: 'carol' } });
        await second.signIn();
        await bob.signIn();
        await Promise.all([first, second, bob].map((one) => one.wait('pusher_internal:subscription_succeeded')));
        await client.ok('send_to_user', 'carol', 'for carol', { to: 'carol' });
        await client.ok('send_to_user', 'bob', 'for bob', { to: 'bob' });
        for (const one of [first, second]) {
          const [got] = await one.wait('for carol');
          assert.deepEqual([got.channel, got.value], ['#server-to-user-carol', { to: 'carol' }]);
        }
        await bob.wait('for bob');
        assert.equal(bob.of('for carol').length, 0);

        const over = [first, second].map(
          (one) => new Promise((resolve) => one.pusher.connection.bind('disconnected', resolve)),
        );
        await client.ok('terminate_user_connections', 'carol');
        await Promise.all(over);
        await client.ok('send_to_user', 'bob', 'still there', {});
        await bob.wait('still there');
      } finally {
        await first.close();
        await second.close();
      }
    });

    test('a batch of 10, in order, each event with its own channel', async () => {
      const channels = ['batch-0', 'batch-1', 'batch-2'];
      await alice.subscribe(channels);
      const events = Array.from({ length: 10 }, (_, i) => ({ channel: channels[i % 3], name: 'batch', data: { i } }));
      assert.deepEqual(await client.ok('trigger_batch', events), its.batchAnswer);
      const got = await alice.wait('batch', 10);
      assert.deepEqual(
        got.map(({ channel, value }) => [channel, value.i]),
        events.map(({ channel, data }) => [channel, data.i]),
      );
    });

    test('socket_id excludes a connection from an event of a batch', async () => {
      await alice.subscribe(['out']);
      await bob.subscribe(['out']);
      const events = [
        { channel: 'out', name: 'left out', data: 1, socket_id: alice.socketId },
        { channel: 'out', name: 'mark', data: 2 },
      ];
      await client.ok('trigger_batch', events);
      await bob.wait('left out');
      await alice.wait('mark');
      assert.equal(alice.of('left out').length, 0);
    });

    test('info returns attributes of the channels of an event', async () => {
      await alice.subscribe(['public-info', 'presence-info']);
      await bob.subscribe(['presence-info']);
      const one = await client.ok('trigger', '["public-info","presence-info"]', 'e', '1', {
        info: 'subscription_count,user_count',
      });
      const batch = await client.ok('trigger_batch', [
        { channel: 'presence-info', name: 'e', data: 1, info: 'user_count' },
        { channel: 'public-info', name: 'e', data: 1 },
      ]);
      if (its.infoOnTrigger) {
        const { 'public-info': open, 'presence-info': presence } = one.channels;
        assert.deepEqual([open.subscription_count, presence.subscription_count, presence.user_count], [1, 2, 2]);
        assert.deepEqual([batch.batch.length, batch.batch[0].user_count, batch.batch[1]], [2, 2, {}]);
      } else {
        assert.deepEqual([one, batch], [{ ok: true }, { ok: true }]);
      }
    });

    test('queries', async () => {
      await alice.subscribe(['query-a', 'query-b', 'presence-query']);
      const all = await client.ok('channels_info');
      assert.ok(
        ['query-a', 'query-b', 'presence-query'].every((channel) => channel in all.channels),
        JSON.stringify(all),
      );
      assert.deepEqual(Object.keys((await client.ok('channels_info', 'query-')).channels).sort(), [
        'query-a',
        'query-b',
      ]);
      const { channels } = await client.ok('channels_info', 'presence-query', 'user_count');
      assert.equal(channels['presence-query'].user_count, its.userCountOfChannels ? 1 : undefined);
      const one = await client.ok('channel_info', 'query-a', 'subscription_count');
      assert.deepEqual([one.occupied, one.subscription_count], [true, 1]);
      assert.equal((await client.ok('channel_info', 'nobody-there')).occupied, false);
      assert.deepEqual(await client.ok('users_info', 'presence-nobody'), { users: [] });
    });

    test('get and post of any path', async () => {
      await alice.subscribe(['generic']);
      const { channels } = await client.ok('get', '/channels', {
        filter_by_prefix: 'generic',
        info: 'subscription_count',
      });
      assert.equal(channels.generic.subscription_count, 1);
      await client.ok('post', '/events', null, { name: 'posted', channels: ['generic'], data: '{"by":"post"}' });
      assert.deepEqual((await alice.wait('posted'))[0].value, { by: 'post' });
    });

    test('client events reach other subscribers and the webhook', async () => {
      await alice.subscribe(['private-a', 'presence-client']);
      await bob.subscribe(['private-a', 'presence-client']);
      alice.pusher.channel('private-a').trigger('client-hello', { from: 'alice' });
      assert.deepEqual((await bob.wait('client-hello'))[0].value, { from: 'alice' });
      const event = await webhook.event({ name: 'client_event', event: 'client-hello' });
      const data = typeof event.data === 'string' ? JSON.parse(event.data) : event.data;
      assert.deepEqual([event.channel, event.socket_id, data], ['private-a', alice.socketId, { from: 'alice' }]);
      alice.pusher.channel('presence-client').trigger('client-presence', {});
      const presence = await webhook.event({ name: 'client_event', event: 'client-presence' });
      assert.equal(presence.user_id, its.clientEventUser ? 'alice' : undefined);
    });

    test('client events of encrypted channels are decrypted in the webhook, or kept if they cannot be decrypted', async () => {
      await alice.subscribe(['private-encrypted-a']);
      const { shared_secret } = await client.ok('authenticate', 'private-encrypted-a', alice.socketId);
      const other = await client.ok('authenticate', 'private-encrypted-b', alice.socketId);
      const send = (event, data) => alice.pusher.send_event(event, data, 'private-encrypted-a');
      send('client-secret', encrypt('{"deep":"secret 🎈"}', shared_secret));
      send('client-foreign', encrypt('{"deep":"secret"}', other.shared_secret));
      const event = await webhook.event({ name: 'client_event', event: 'client-secret' });
      assert.deepEqual([event.channel, event.data], ['private-encrypted-a', '{"deep":"secret 🎈"}']);
      const foreign = await webhook.event({ name: 'client_event', event: 'client-foreign' });
      assert.equal(typeof foreign.decryption_error, 'string');
    });

    test('webhooks report when a channel becomes occupied and vacated', async () => {
      await alice.subscribe(['life']);
      await bob.subscribe(['life']);
      await webhook.event({ name: 'channel_occupied', channel: 'life' });
      if (its.subscriptionCountWebhook) {
        await webhook.event({ name: 'subscription_count', channel: 'life', subscription_count: 2 });
      }
      alice.pusher.unsubscribe('life');
      bob.pusher.unsubscribe('life');
      await webhook.event({ name: 'channel_vacated', channel: 'life' });
      if (!its.subscriptionCountWebhook) assert.equal(webhook.events({ name: 'subscription_count' }).length, 0);
    });
  });
}
