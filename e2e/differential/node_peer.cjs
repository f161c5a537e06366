// Runs the official Node.js library on JSON lines: the first line holds the applications, each other line a case. Writes one
// line for each. Every kind of refusal becomes {"refused": why}.
//
//   NODE_PATH=…/node_modules node node_peer.cjs
'use strict';

const readline = require('node:readline');
const Pusher = require('pusher');
const nacl = require('tweetnacl');
const naclUtil = require('tweetnacl-util');

// An internal module: the library cannot create a request without sending it.
const sent = Symbol('the options that would have been sent');

let clients;

function client(application) {
  const pusher = new Pusher({
    appId: application.app_id,
    key: application.key,
    secret: application.secret,
    encryptionMasterKeyBase64: application.master_key ?? undefined,
    useTLS: true,
  });
  pusher.post = (options) => ({ [sent]: { ...options, method: 'POST' } });
  pusher.get = (options) => ({ [sent]: { ...options, method: 'GET' } });
  return pusher;
}

// Returns the decrypted message, or null.
function open(pusher, channel, payload) {
  try {
    const { nonce, ciphertext } = JSON.parse(payload);
    const secret = new Uint8Array(pusher.channelSharedSecret(channel));
    const plain = nacl.secretbox.open(naclUtil.decodeBase64(ciphertext), naclUtil.decodeBase64(nonce), secret);
    return plain && naclUtil.encodeUTF8(plain);
  } catch {
    return null;
  }
}

// Returns a body with decrypted events. Data that is not the content of a string is serialized as this library does.
// `values` are the given payloads.
function canonical(pusher, text, values) {
  const body = JSON.parse(text);
  const events = body.batch ?? [body];
  events.forEach((event, index) => {
    if (typeof event.data !== 'string') return;
    const channel = event.channel ?? event.channels?.[0];
    if (channel?.startsWith('private-encrypted-')) event.data = open(pusher, channel, event.data);
    if (typeof values[index] !== 'string' && event.data !== null) event.data = JSON.stringify(JSON.parse(event.data));
  });
  return body;
}

// Returns the exact payloads, decrypted.
function payloads(pusher, text) {
  const body = JSON.parse(text);
  return (body.batch ?? [body]).map((event) => {
    const channel = event.channel ?? event.channels?.[0];
    return channel?.startsWith('private-encrypted-') ? open(pusher, channel, event.data) : event.data;
  });
}

const optional = (text) => (text === null ? undefined : JSON.parse(text));

// The calls of this library. A call without a method uses `get`, as the library's README recommends.
const calls = {
  trigger: (pusher, [channels, event, data, options]) =>
    pusher.trigger(channels, event, JSON.parse(data), optional(options)),
  trigger_batch: (pusher, [events]) => pusher.triggerBatch(JSON.parse(events)),
  send_to_user: (pusher, [userId, event, data]) => pusher.sendToUser(userId, event, JSON.parse(data)),
  terminate_user_connections: (pusher, [userId]) => pusher.terminateUserConnections(userId),
  channels_info: (pusher, [prefix, attributes]) =>
    pusher.get({
      path: '/channels',
      params: {
        ...(prefix !== null && { filter_by_prefix: prefix }),
        ...(attributes !== null && { info: attributes }),
      },
    }),
  channel_info: (pusher, [channel, attributes]) =>
    pusher.get({ path: `/channels/${channel}`, params: attributes === null ? {} : { info: attributes } }),
  users_info: (pusher, [channel]) => pusher.get({ path: `/channels/${channel}/users` }),
  get: (pusher, [path, params]) => pusher.get({ path, params: optional(params) }),
  post: (pusher, [path, params, body]) => pusher.post({ path, params: optional(params), body: optional(body) }),
};

// Returns the query that this library signs at this time.
function signedQuery(pusher, timestamp, request) {
  const now = Date.now;
  Date.now = () => timestamp * 1000;
  try {
    return pusher.createSignedQueryString(request);
  } finally {
    Date.now = now;
  }
}

const kinds = {
  authorize(pusher, { channel, socket_id, data }) {
    return pusher.authorizeChannel(socket_id, channel, optional(data));
  },

  authenticate_user(pusher, { socket_id, data }) {
    return pusher.authenticateUser(socket_id, JSON.parse(data));
  },

  // `payload` is libpusher's result for the body.
  webhook(pusher, { key, signature, body, content_type, tokens, payload }) {
    const webhook = pusher.webhook({
      headers: {
        'x-pusher-key': key ?? undefined,
        'x-pusher-signature': signature ?? undefined,
        'content-type': content_type,
      },
      rawBody: Buffer.from(body, 'base64').toString(),
    });
    if (!webhook.isValid(tokens)) throw new Error('isValid() is false');
    const data = JSON.stringify(webhook.getData());
    return payload === null ? null : data === JSON.stringify(JSON.parse(payload));
  },

  // `ours` is libpusher's request, which this library signs too.
  call(pusher, { call, arguments: texts, data, ours }) {
    const answer = {};
    const values = (data ?? []).map((text) => {
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    });
    try {
      const request = calls[call](pusher, texts)[sent];
      const path = pusher.config.prefixPath(request.path);
      const body = request.body ? JSON.stringify(request.body) : null;
      // The library checks the parameters when it signs.
      signedQuery(pusher, 0, { method: request.method, path, params: request.params, body });
      const params = Object.entries(request.params ?? {}).map(([name, value]) => [name, String(value)]);
      answer.request = { method: request.method, path, params };
      if (body !== null) {
        answer.request.body = data === null ? JSON.parse(body) : canonical(pusher, body, values);
        answer.payloads = data === null ? null : payloads(pusher, body);
      }
    } catch (error) {
      answer.refused = String(error);
    }
    if (ours !== null) {
      answer.signed = signedQuery(pusher, ours.timestamp, ours);
      if (ours.body !== null) {
        answer.ours = data === null ? JSON.parse(ours.body) : canonical(pusher, ours.body, values);
        answer.our_payloads = data === null ? null : payloads(pusher, ours.body);
      }
    }
    return answer;
  },

  // Encrypts a message, corrupts it if the case says so, and decrypts it.
  decrypt(pusher, { channel, other_channel, data, harm }) {
    const { body } = pusher.trigger(channel, 'an-event', JSON.parse(data))[sent];
    let payload = body.data;
    if (harm !== null) {
      const parts = JSON.parse(payload);
      const bytes = Buffer.from(parts[harm.part], 'base64');
      const changed = harm.cut ? bytes.subarray(0, Math.max(0, bytes.length - harm.cut)) : bytes;
      if (harm.flip !== undefined) changed[harm.flip % changed.length] ^= harm.bit;
      parts[harm.part] = changed.toString('base64');
      payload = JSON.stringify(parts);
    }
    return { payload, opened: open(pusher, other_channel ?? channel, payload) };
  },
};

kinds.encrypt = kinds.call;

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (clients === undefined) {
    clients = message.map(client);
    return;
  }
  let answer;
  try {
    answer = { value: kinds[message.kind](clients[message.application], message) };
  } catch (error) {
    answer = { refused: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
