// Tests two nodes of a server that share their state through Redis: the library may send its requests to either node.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { names, start, startRedis } from '../tools/servers/servers.mjs';
import { Subscriber } from '../tools/servers/subscriber.mjs';
import { Client, Listener } from './program.mjs';

const timeout = 60_000;

for (const name of names) {
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;

  describe(`two nodes of ${name}`, { skip }, () => {
    let redis;
    let nodes;
    let authorize;
    let clients;
    let alice; // on the first node
    let bob; // on the second node

    before(
      async () => {
        const config = { encryption_master_key_base64: randomBytes(32).toString('base64') };
        redis = await startRedis();
        nodes = [await start(name, { redis: redis.port }), await start(name, { redis: redis.port })];
        clients = nodes.map(({ url }) => new Client({ ...config, url }));
        authorize = await Listener.start('authorize', null, [
          '--config',
          JSON.stringify({ ...config, url: nodes[0].url }),
          'token-a=alice',
          'token-b=bob',
        ]);
        const connect = (node, token, channels) =>
          Subscriber.connect(node, channels, { authorizer: authorize.address, token });
        alice = await connect(nodes[0], 'token-a', ['shared', 'presence-shared', 'private-encrypted-shared']);
        bob = await connect(nodes[1], 'token-b', ['shared', 'presence-shared', 'private-encrypted-shared']);
      },
      { timeout },
    );

    after(async () => {
      await alice?.close();
      await bob?.close();
      for (const one of [...(clients ?? []), authorize, ...(nodes ?? []), redis]) await one?.stop();
    });

    const test = (title, body) =>
      it(title, { timeout }, async () => {
        try {
          await body();
        } catch (error) {
          nodes.forEach((node) => console.error(node.log()));
          throw error;
        }
      });

    test('an event triggered on either node reaches the subscribers of both', async () => {
      for (const [i, client] of clients.entries()) {
        await client.ok('trigger', 'shared', `from ${i}`, { i });
        await client.ok('trigger_batch', [
          { channel: 'shared', name: `batch from ${i}`, data: { i } },
          { channel: 'private-encrypted-shared', name: `secret from ${i}`, data: { i } },
        ]);
        for (const one of [alice, bob]) {
          for (const event of [`from ${i}`, `batch from ${i}`, `secret from ${i}`]) {
            assert.deepEqual((await one.wait(event))[0].value, { i });
          }
        }
      }
    });

    test('socket_id excludes a connection of the other node', async () => {
      await clients[0].ok('trigger', 'shared', 'not for bob', '{}', { socket_id: bob.socketId });
      await clients[0].ok('trigger', 'shared', 'mark', '{}');
      await Promise.all([alice, bob].map((one) => one.wait('mark')));
      assert.deepEqual([alice.of('not for bob').length, bob.of('not for bob').length], [1, 0]);
    });

    test('either node returns the counts and users of both', async () => {
      for (const client of clients) {
        const { users } = await client.ok('users_info', 'presence-shared');
        assert.deepEqual(users.map(({ id }) => id).sort(), ['alice', 'bob']);
        const { user_count, subscription_count } = await client.ok(
          'channel_info',
          'presence-shared',
          'user_count,subscription_count',
        );
        assert.deepEqual([user_count, subscription_count], [2, 2]);
        assert.equal((await client.ok('channel_info', 'shared', 'subscription_count')).subscription_count, 2);
        assert.ok('shared' in (await client.ok('channels_info', 'shared')).channels);
      }
    });

    test('a user gets events, and is disconnected, through the other node', async () => {
      await bob.signIn();
      await clients[0].ok('send_to_user', 'bob', 'for bob', { to: 'bob' });
      assert.deepEqual((await bob.wait('for bob'))[0].value, { to: 'bob' });
      const over = new Promise((resolve) => bob.pusher.connection.bind('disconnected', resolve));
      await clients[0].ok('terminate_user_connections', 'bob');
      await over;
    });
  });
}
