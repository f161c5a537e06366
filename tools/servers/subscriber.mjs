// A subscriber that uses pusher-js, and also stores the data as sent by the server.

import { createRequire } from 'node:module';
import { app, fetched } from './servers.mjs';

let library;

function pusherJs() {
  library ??= createRequire(import.meta.url)(fetched('pusher-js')[0]);
  return library.default ?? library;
}

/** Rejects if `promise` takes longer than `ms`. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (waited ${ms} ms)`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class Subscriber {
  /** The received events in order: `raw` is the data as the server sent it, `value` the value that pusher-js passes to handlers. */
  received = [];
  /** The received events of the protocol, such as pusher_internal:member_added, likewise. */
  protocol = [];
  #pusher;
  #socket;
  #waiting = new Set();
  #value;

  /** Connects to a server of servers.mjs, and returns once all channels are subscribed. Channels that need
   * authorization need `authorizer`, the address of the program `authorize`, and a `token` for it; `paths` names its paths
   * if they are others. */
  static async connect(server, channels, { authorizer, token, paths } = {}) {
    const subscriber = new Subscriber();
    try {
      await within(10_000, () => 'no connection', subscriber.#connect(server, authorizer, token, paths));
      await subscriber.subscribe(channels);
    } catch (error) {
      await subscriber.close();
      throw error;
    }
    return subscriber;
  }

  async #connect({ host, port }, authorizer, token, { auth = '/pusher/auth', userAuth = '/pusher/user-auth' } = {}) {
    const Pusher = pusherJs();
    const headers = { Authorization: `Bearer ${token}` };
    this.#pusher = new Pusher(app.key, {
      cluster: '',
      wsHost: host,
      wsPort: port,
      forceTLS: false,
      enabledTransports: ['ws'],
      disableStats: true,
      ...(authorizer && {
        channelAuthorization: { endpoint: `${authorizer}${auth}`, headers },
        userAuthentication: { endpoint: `${authorizer}${userAuth}`, headers },
      }),
    });
    await new Promise((resolve) => this.#pusher.connection.bind('connected', resolve));
    this.#socket = this.#pusher.connection.connection.transport.socket;
    // pusher-js passes only parsed data to handlers, in which a long number has lost digits. Its transport has the
    // original string. pusher-js bound its own handler first, so its handlers run before this one.
    this.#pusher.connection.connection.transport.bind('message', ({ data }) => this.#take(JSON.parse(data)));
    this.#pusher.user.bind_global((event, value) => {
      this.#value = value;
    });
  }

  /** Subscribes to channels that are not subscribed yet, and waits for all. Rejects with pusher-js's error on failure. */
  async subscribe(channels) {
    const missing = channels.filter((name) => !this.#pusher.channel(name)?.subscribed);
    const done = missing.map(
      (name) =>
        new Promise((resolve, reject) => {
          const channel = this.#pusher.subscribe(name);
          channel.bind('pusher:subscription_succeeded', resolve);
          channel.bind('pusher:subscription_error', (error) => reject(new Error(`${name}: ${JSON.stringify(error)}`)));
          channel.bind_global((event, value) => {
            this.#value = value;
          });
        }),
    );
    await within(10_000, () => `no subscription to ${missing}`, Promise.all(done));
  }

  /** Signs in, and returns pusher-js's data of the user. */
  async signIn() {
    this.#pusher.signin();
    await within(10_000, () => 'no sign-in', this.#pusher.user.signinDonePromise);
    return this.#pusher.user.user_data;
  }

  /** The Pusher object of pusher-js. */
  get pusher() {
    return this.#pusher;
  }

  get socketId() {
    return this.#pusher.connection.socket_id;
  }

  #take({ channel, event, data }) {
    const list = event.startsWith('pusher') ? this.protocol : this.received;
    list.push({ channel, event, raw: data, value: this.#value });
    this.#value = undefined;
    this.#waiting.forEach((check) => check());
  }

  /** Returns the received events with this name. */
  of(event) {
    return [...this.received, ...this.protocol].filter((one) => one.event === event);
  }

  /** Waits for `count` events with this name, and returns them. */
  async wait(event, count = 1) {
    let check;
    const enough = new Promise((resolve) => {
      check = () => {
        if (this.of(event).length >= count) resolve();
      };
      this.#waiting.add(check);
      check();
    });
    const missing = () =>
      `${this.of(event).length} of ${count} events "${event}" arrived, and the connection is ` +
      `${this.#pusher.connection.state}; all received events: ${this.received.map((one) => one.event).join(', ')}`;
    try {
      await within(10_000, missing, enough);
    } finally {
      this.#waiting.delete(check);
    }
    return this.of(event);
  }

  async close() {
    const connection = this.#pusher?.connection;
    if (connection && connection.state !== 'disconnected') {
      const gone = new Promise((resolve) => connection.bind('disconnected', resolve));
      this.#pusher.disconnect();
      await within(5_000, () => 'pusher-js does not disconnect', gone);
    }
    // If the server has closed the connection, this timer would keep the process alive for another 30 s.
    this.#socket?._closeTimer?.unref();
  }
}
