// Tests that subscribers of real servers receive the events of the C program `trigger`.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { names, showing, start } from '../tools/servers/servers.mjs';
import { Subscriber } from '../tools/servers/subscriber.mjs';
import { trigger } from './program.mjs';

const timeout = 60_000;

/** Returns a JSON document of exactly `size` bytes: `character` repeated, padded with spaces. */
function document(size, character) {
  const frame = '{"":""}';
  const room = size - frame.length;
  const length = Buffer.byteLength(character);
  return `{"":"${character.repeat(Math.floor(room / length))}${' '.repeat(room % length)}"}`;
}

// The triggered data, and the bytes that must arrive: `arrives`, or `data` if there is none.
const payloads = {
  ASCII: { data: '{"hello":"world"}' },
  'UTF-8, with characters beyond the basic plane': { data: '{"text":"Grüße, 世界, 🎈 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{10FFFD}"}' },
  'white space and the order of keys': { data: '{ "b" : 1.0,\n\t"a":[ 2e3 , -0 ],"c" :\r\n{} }' },
  'a number of 30 digits': { data: '123456789012345678901234567890' },
  'long numbers within a document': {
    data: '{"n":[123456789012345678901234567890,0.1000000000000000055511151231257827]}',
  },
  'escapes within a document': { data: String.raw`{"\u0061":"\ud83c\udf88 \/ \\ \" \n"}` },
  'the content of a string': {
    data: String.raw`"one\n\"two\" \u00e9 \ud83c\udf88 é 🎈 \\ \/"`,
    arrives: 'one\n"two" é 🎈 é 🎈 \\ /',
  },
  'JSON within a string': { data: String.raw`"{\"a\": 1.0}"`, arrives: '{"a": 1.0}' },
  null: { data: 'null' },
  'exactly 10,240 bytes': { data: document(10_240, 'x') },
  'exactly 10,240 bytes of UTF-8': { data: document(10_240, '🎈') },
  '10,240 bytes, each one escaped': { data: `"${'\\n'.repeat(10_240)}"`, arrives: '\n'.repeat(10_240) },
};

// One server refuses with an HTTP status, the other with a 200 and a code in its body.
const refusals = { sockudo: (code) => `answered ${code}`, soketi: (code) => `answered 200 .*${code}` };

for (const name of names) {
  // e2e.sh sets it to the reason why the server is missing, if it may be missing.
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;

  describe(name, { skip }, () => {
    let server;
    let subscriber;
    const channels = Array.from({ length: 100 }, (_, i) => `channel-${i}`);

    before(
      async () => {
        server = await start(name);
        subscriber = await Subscriber.connect(server, channels);
      },
      { timeout },
    );

    after(async () => {
      await subscriber?.close();
      await server?.stop();
    });

    const test = (title, body) => it(title, { timeout }, () => showing(server, body));

    const delivers = async (args, input) => {
      const { code, stderr, stdout } = await trigger(server.url, args, input);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      return JSON.parse(stdout);
    };

    let marks = 0;
    /** Triggers an event and waits for it: all events triggered before it have then arrived. */
    const upToNow = async (listeners, channel) => {
      const mark = `mark-${marks++}`;
      await delivers([channel, mark, '{}']);
      await Promise.all(listeners.map((listener) => listener.wait(mark)));
    };

    for (const [title, { data, arrives = data }] of Object.entries(payloads)) {
      test(`a subscriber gets ${title}`, async () => {
        await delivers(['channel-0', title, data]);
        const [event] = await subscriber.wait(title);
        assert.equal(event.channel, 'channel-0');
        assert.equal(event.raw, arrives);
      });
    }

    test('pusher-js passes the triggered value to its handlers', async () => {
      await delivers(['channel-0', 'value', '{"list":[1,"two",null]}']);
      const [event] = await subscriber.wait('value');
      assert.deepEqual(event.value, { list: [1, 'two', null] });
    });

    test('trigger reads the payload from standard input, and trims white space around it', async () => {
      await delivers(['channel-0', 'standard input', '-'], ' \n{"a": 1}\n');
      const [event] = await subscriber.wait('standard input');
      assert.equal(event.raw, '{"a": 1}');
    });

    test('each of 100 channels gets an event exactly once', async () => {
      await delivers([JSON.stringify(channels), 'hundred', '{"n":100}']);
      await upToNow([subscriber], 'channel-99');
      const got = subscriber.of('hundred');
      assert.deepEqual(got.map((event) => event.channel).sort(), [...channels].sort());
      assert.ok(got.every((event) => event.raw === '{"n":100}'));
    });

    test('--socket-id excludes that connection, and no other', async () => {
      const other = await Subscriber.connect(server, ['channel-0']);
      try {
        await delivers(['--socket-id', subscriber.socketId, 'channel-0', 'not for all', '{}']);
        await upToNow([subscriber, other], 'channel-0');
        assert.equal(subscriber.of('not for all').length, 0);
        assert.equal(other.of('not for all').length, 1);
      } finally {
        await other.close();
      }
    });

    test('a wrong secret is UNAUTHORIZED and rejected, and no subscriber gets the event', async () => {
      const url = server.url.replace('test-secret', 'wrong-secret');
      const { code, stdout, stderr } = await trigger(url, ['channel-0', 'forged', '{}']);
      assert.deepEqual({ code, stdout }, { code: 3, stdout: '' });
      assert.match(stderr, RegExp(`^trigger: UNAUTHORIZED \\(rejected\\): .*${refusals[name](401)}.*\n$`));
      assert.doesNotMatch(stderr, /wrong-secret|auth_signature|[0-9a-f]{64}/);
      await upToNow([subscriber], 'channel-0');
      assert.equal(subscriber.of('forged').length, 0);
    });

    test('an unknown application is NOT_FOUND and rejected', async () => {
      const url = server.url.replace('100001', '100002').replace('test-key', 'other-key');
      const { code, stdout, stderr } = await trigger(url, ['channel-0', 'lost', '{}']);
      assert.deepEqual({ code, stdout }, { code: 3, stdout: '' });
      assert.match(stderr, RegExp(`^trigger: NOT_FOUND \\(rejected\\): .*${refusals[name](404)}.*\n$`));
    });
  });
}
