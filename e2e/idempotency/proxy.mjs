// A proxy between a client and a real server that breaks the exchange of requests that publish, and keeps a record of each.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** What may happen to a request. `arrives`: whether the server gets it. */
export const faults = {
  'answer cut': { arrives: true }, // after each number of its bytes in turn, from none to all
  'connection cut after the request': { arrives: true }, // to the client; the server goes on
  'both connections cut after the request': { arrives: true },
  'no answer': { arrives: true },
  '502 after forwarding': { arrives: true, status: 502 },
  '503 after forwarding': { arrives: true, status: 503 },
  '500 before forwarding': { arrives: false, status: 500 },
  '504 before forwarding': { arrives: false, status: 504 },
  'request lost': { arrives: false },
};

const names = Object.keys(faults);

/** A request has no more faults than this, so that another attempt gets through. */
const MOST_FAULTS = 3;

const BLANK_LINE = '\r\n\r\n';

/** Reads a message with a Content-Length, and returns it with what follows; undefined if the connection ends first. */
async function message(socket, before = Buffer.alloc(0)) {
  let bytes = before;
  for (;;) {
    const head = bytes.indexOf(BLANK_LINE);
    if (head >= 0) {
      const [, length = 0] = /\r\ncontent-length: *(\d+)/i.exec(bytes.subarray(0, head).toString('latin1')) ?? [];
      const end = head + BLANK_LINE.length + Number(length);
      if (bytes.length >= end) return { whole: bytes.subarray(0, end), head, rest: bytes.subarray(end) };
    }
    const chunk = await next(socket);
    if (!chunk) return undefined;
    bytes = Buffer.concat([bytes, chunk]);
  }
}

/** Returns the next bytes of a socket; null at its end, or if it breaks. */
function next(socket) {
  return new Promise((resolve) => {
    const events = ['data', 'end', 'error', 'close'];
    const done = (value) => {
      socket.pause();
      events.forEach((event) => socket.off(event, handlers[event]));
      resolve(value);
    };
    const handlers = { data: done, end: () => done(null), error: () => done(null), close: () => done(null) };
    if (socket.destroyed || socket.readableEnded) return resolve(null);
    events.forEach((event) => socket.on(event, handlers[event]));
    socket.resume();
  });
}

export class Proxy {
  /** The records of all requests by their bodies: { key, path, faults: […], answers: [the server's statuses and bodies] }. */
  requests = new Map();
  /** How often each fault occurred. */
  counts = Object.fromEntries(names.map((name) => [name, 0]));
  /** How many cuts there were of answers of each length. They are cut after each of their bytes in turn. */
  cuts = new Map();
  #server;
  #target;
  #seed;
  #sockets = new Set();

  /** Starts a proxy in front of { host, port }. `share` of the requests have a fault; the same seed has the same faults. */
  static async start(target, { seed, share }) {
    const proxy = new Proxy();
    proxy.#target = target;
    proxy.#seed = { seed, share };
    proxy.#server = createServer((client) => {
      proxy.#sockets.add(client.on('error', () => {}).on('close', () => proxy.#sockets.delete(client)));
      proxy.#serve(client).catch(() => client.destroy());
    });
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    proxy.port = proxy.#server.address().port;
    return proxy;
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Returns the fault of an attempt, which depends on nothing but the seed, the body and the number of the attempt. */
  #fault(body, attempt) {
    if (attempt >= MOST_FAULTS) return undefined;
    const hash = createHash('sha256').update(`${this.#seed.seed}\n${attempt}\n`).update(body).digest();
    if (hash.readUInt32LE(0) / 2 ** 32 >= this.#seed.share) return undefined;
    // Every second fault is a cut, because there are so many of them.
    const at = hash.readUInt32LE(4);
    return at % 2 ? names[0] : names[1 + ((at >>> 1) % (names.length - 1))];
  }

  async #serve(client) {
    let rest;
    for (;;) {
      const request = await message(client, rest);
      if (!request) return client.destroy();
      rest = request.rest;
      const { whole, head } = request;
      const top = whole.subarray(0, head).toString('latin1');
      const body = whole.subarray(head + BLANK_LINE.length).toString();
      const [, key] = /\r\nx-idempotency-key: *([^\r\n]*)/i.exec(top) ?? [];
      const path = /^\S+ ([^? ]*)/.exec(top)[1];
      const record = this.requests.get(body) ?? { key, path, faults: [], answers: [] };
      this.requests.set(body, record);
      if (record.key !== key) throw new Error(`a request changed its key: ${record.key} ${key}`);
      const fault = this.#fault(body, record.faults.length);
      record.faults.push(fault);
      if (fault) this.counts[fault]++;
      if (!(await this.#exchange(client, fault, whole, record))) return;
    }
  }

  /** Forwards a request, or breaks it. Returns whether the connection stays open. */
  async #exchange(client, fault, request, record) {
    const { arrives, status } = faults[fault] ?? { arrives: true };
    const refusal = `HTTP/1.1 ${status} Fault\r\nContent-Length: 0\r\n\r\n`;
    if (!arrives) {
      if (!status) client.destroy();
      else client.write(refusal);
      return Boolean(status);
    }
    const server = connect(this.#target);
    server.on('error', () => {});
    server.write(request);
    if (fault === 'connection cut after the request') client.destroy();
    if (fault === 'both connections cut after the request') {
      client.destroy();
      // It leaves when the kernel has it.
      await new Promise((resolve) => server.write('', resolve));
      server.destroy();
      return false;
    }
    const answer = await message(server);
    server.destroy();
    if (!answer) {
      client.destroy();
      return false;
    }
    const text = answer.whole.toString();
    record.answers.push({ status: Number(text.slice(9, 12)), text });
    switch (fault) {
      case undefined:
        client.write(answer.whole);
        return !/\r\nconnection: close/i.test(text);
      case 'answer cut': {
        const { length } = answer.whole;
        const cuts = this.cuts.get(length) ?? 0;
        this.cuts.set(length, cuts + 1);
        client.write(answer.whole.subarray(0, cuts % (length + 1)), () => client.destroy());
        return false;
      }
      case 'no answer':
        await next(client);
        client.destroy();
        return false;
      case 'connection cut after the request':
        return false;
      default:
        client.write(refusal);
        return true;
    }
  }
}
