// What the tests of the chat share: a real server, the chat, real browsers, and connections that can be cut.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect, createServer as createListener } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import { app, fetched, showing, start } from '../../tools/servers/servers.mjs';
import { within } from '../../tools/servers/subscriber.mjs';
import { display, launch, size } from '../browser/browser.mjs';
import { Listener } from '../program.mjs';

export const pusherJs = join(fetched('pusher-js')[0], 'dist/web/pusher.min.js');
export const timeout = 120_000;

/** Without it, a waiting page draws each frame, which takes a processor. */
const POLLING_MS = 20;

/** Sends a request to the chat, and returns { status, json, headers }. Sends `fields` as a form, `body` as it is. */
export function ask(address, method, path, options = {}) {
  const { fields, body = fields && `${new URLSearchParams(fields)}`, origin = address, cookie, headers } = options;
  // A client that is refused while it still writes may get an error instead of the response. With Expect, it waits.
  const asksFirst = headers?.Expect === '100-continue';
  return new Promise((resolve, reject) => {
    const sent = request(
      `${address}${path}`,
      {
        method,
        headers: {
          ...(fields !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
          ...(origin && { Origin: origin }),
          ...(cookie && { Cookie: cookie }),
          ...headers,
          ...(asksFirst && { 'Content-Length': Buffer.byteLength(body) }),
        },
      },
      (answer) => {
        let text = '';
        answer
          .setEncoding('utf8')
          .on('data', (part) => {
            text += part;
          })
          .on('error', reject);
        answer.on('end', () => {
          let json;
          try {
            json = JSON.parse(text);
          } catch {
            /* a file of the page, not JSON */
          }
          resolve({ status: answer.statusCode, headers: answer.headers, text, json });
          if (asksFirst) sent.destroy();
        });
      },
    );
    sent.on('error', reject);
    if (asksFirst) sent.on('continue', () => sent.end(body)).flushHeaders();
    else sent.end(body);
  });
}

export const post = (address, path, fields, more) => ask(address, 'POST', path, { fields, ...more });

/** Signs a person in without a browser, and returns { cookie, id, attributes }. */
export async function signIn(address, name) {
  const { status, headers, json } = await post(address, '/sign-in', { name });
  assert.equal(status, 200);
  return { cookie: headers['set-cookie'][0].split(';')[0], id: json.user.id, attributes: headers['set-cookie'][0] };
}

/** Runs `body` with a chat, then stops the chat, which must exit with 0 and without a report of a sanitizer. */
export async function withChat(url, args, body) {
  const chat = await Listener.start('chat', url, ['--pusher-js', pusherJs, ...args]);
  try {
    await body(chat);
  } finally {
    assert.equal(await chat.stop(), 0, chat.stderr);
  }
}

/** A way to a port of this machine, which can be cut. */
export class Line {
  #listener;
  #sockets = new Set();
  #isHeld = false;

  constructor(target) {
    this.#listener = createListener((inner) => {
      const outer = connect(target, '127.0.0.1');
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ]) {
        this.#sockets.add(from);
        from.on('data', (bytes) => this.#isHeld || to.write(bytes));
        from.on('error', () => {});
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  /** Opens it, on the same port as before if it was cut. */
  async open() {
    this.#isHeld = false;
    if (this.#listener.listening) return this;
    await once(this.#listener.listen(this.port ?? 0, '127.0.0.1'), 'listening');
    this.port = this.#listener.address().port;
    return this;
  }

  /** Drops what is sent from now on, and keeps the connections. */
  hold() {
    this.#isHeld = true;
  }

  /** Closes all connections, and refuses new ones. */
  async cut() {
    if (!this.#listener.listening) return;
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** A chat on a real server, and browsers that use it. */
export class Rig {
  /** The webhooks of the server, with the status that the chat returned. */
  webhooks = [];
  /** Whether the chat receives them. */
  passesWebhooks = true;
  /** What the pages have complained about. */
  troubles = [];
  #arrived = () => {};
  #relay;
  #browser;
  #open = new Set();
  #idle = [];

  // The chat needs the server's address to start, and the server needs that of the chat. A relay breaks the cycle.
  async start() {
    this.#relay = createServer(async (incoming, outgoing) => {
      const parts = [];
      for await (const part of incoming) parts.push(part);
      const body = Buffer.concat(parts);
      const { 'x-pusher-key': key, 'x-pusher-signature': signature } = incoming.headers;
      const headers = { 'X-Pusher-Key': key, 'X-Pusher-Signature': signature };
      const { status } = this.passesWebhooks
        ? await ask(this.chat.address, 'POST', '/webhook', { body, origin: null, headers })
        : { status: 200 };
      outgoing.writeHead(status).end();
      this.webhooks.push({ body, headers, status, events: JSON.parse(body).events });
      this.#arrived();
    });
    await once(this.#relay.listen(0, '127.0.0.1'), 'listening');
    this.server = await start('soketi', { webhook: `http://127.0.0.1:${this.#relay.address().port}/` });
    /** The way of browsers to the server, and that of the chat. */
    this.line = await new Line(this.server.port).open();
    this.api = await new Line(this.server.port).open();
    const page = process.env.CHAT_PAGE ? ['--page', process.env.CHAT_PAGE] : [];
    this.chat = await Listener.start('chat', this.server.url.replace(`:${this.server.port}`, `:${this.api.port}`), [
      ...['--pusher-js', pusherJs, '--websocket', `ws://127.0.0.1:${this.line.port}`],
      ...page,
    ]);
    this.#browser = await launch();
  }

  async stop() {
    await this.#browser?.close();
    const code = await this.chat?.stop();
    await this.line?.cut();
    await this.api?.cut();
    await this.server?.stop();
    this.#relay?.closeAllConnections();
    this.#relay?.close();
    assert.equal(code, 0, this.chat?.stderr);
  }

  /** Waits for the webhook with this event of this user, and returns it. */
  webhookOf(name, user_id) {
    return new Promise((resolve) => {
      this.#arrived = () => {
        const found = this.webhooks.find(({ events }) =>
          events.some((event) => event.name === name && event.user_id === user_id),
        );
        if (found) resolve(found);
      };
      this.#arrived();
    });
  }

  /** Opens the page in a browser context that nobody else uses: in one that was left, or in a new one. */
  async open(width = 760, { address = this.chat.address, colorScheme = 'light', deviceScaleFactor = 1 } = {}) {
    let page = deviceScaleFactor === 1 ? this.#idle.pop() : undefined;
    if (page) {
      await page.setViewportSize(size(width));
      await page.emulateMedia({ colorScheme });
    } else {
      const context = await this.#browser.newContext({ ...display(width, colorScheme), deviceScaleFactor });
      page = await context.newPage();
      page.isReusable = deviceScaleFactor === 1;
    }
    this.#open.add(page);
    page.setDefaultTimeout(Number(process.env.CHAT_PATIENCE ?? 20_000));
    page.on('dialog', (dialog) => {
      this.troubles.push(dialog.message());
      dialog.dismiss();
    });
    page.on('console', (message) => {
      if (message.type() === 'error') this.troubles.push(message.text());
    });
    page.on('pageerror', (error) => this.troubles.push(error.message));
    await page.goto(address);
    return page;
  }

  /** Signs a person in through the page, in a separate browser context. */
  async comeIn(name, ...window) {
    const page = await this.open(...window);
    await page.fill('#name', name);
    await page.click('#sign-in button');
    await page.locator('#connection[data-state=connected]').waitFor();
    return page;
  }

  /** Lets the browser report requests that fail. */
  expectErrors(page) {
    page.removeAllListeners('console');
  }

  /** Signs a person out, and leaves the page. */
  async leave(page) {
    const { address } = this.chat;
    this.#open.delete(page);
    await page.context().request.post(`${address}/sign-out`, { headers: { Origin: address } });
    if (page.isClosed() || !page.isReusable) {
      await page.context().close();
      return;
    }
    page.removeAllListeners();
    await page.unrouteAll();
    await page.goto('about:blank');
    this.#idle.push(page);
  }

  /** Signs all people out, and waits until the server has reported that. Mends what is cut. */
  async reset() {
    this.passesWebhooks = true;
    await this.line.open();
    await this.api.open();
    for (const page of this.#open) await this.leave(page);
    const isEmpty = () => {
      const here = new Map();
      for (const { name, user_id } of this.webhooks.flatMap(({ events }) => events)) {
        if (name === 'member_added') here.set(user_id, (here.get(user_id) ?? 0) + 1);
        if (name === 'member_removed') here.set(user_id, (here.get(user_id) ?? 0) - 1);
      }
      return [...here.values()].every((count) => count === 0);
    };
    const empty = new Promise((resolve) => {
      this.#arrived = () => isEmpty() && resolve();
      this.#arrived();
    });
    await within(10_000, () => 'the server does not report that all people have left', empty);
  }
}

export const texts = (page, list) => page.locator(list).allTextContents();

export async function write(page, text) {
  await page.fill('#text', text);
  await page.click('#say button');
}

/** Waits until a list has an item with exactly this text. */
export const shows = (page, list, text) =>
  page.waitForFunction(
    ([list, text]) => [...document.querySelectorAll(list)].some((item) => item.textContent === text),
    [list, text],
    { polling: POLLING_MS },
  );

export const resize = (page, width) => page.setViewportSize(size(width));

/** Removes the webhook of a person's own arrival: it comes before the person's subscription, or after it. */
export const removeOwnWebhook = (page, name) =>
  page.evaluate((name) => {
    for (const item of document.querySelectorAll('#webhooks li'))
      if (item.querySelector('bdi').textContent === name) item.remove();
  }, name);

export const toggleSide = (page) => page.evaluate(() => document.querySelector('#side-toggle').click());

/** Waits until a function is true in the page. */
export const until = (page, condition, argument) => page.waitForFunction(condition, argument, { polling: POLLING_MS });

/** Sets up a rig for the tests of a file. Each test begins in an empty room, and fails if a page complains. */
export function setUp() {
  const rig = new Rig();
  before(() => rig.start(), { timeout });
  after(() => rig.stop());
  afterEach(() => rig.reset());
  const test = (title, body) =>
    it(title, { timeout }, () =>
      showing(rig.server, async () => {
        rig.troubles.length = 0;
        await body();
        assert.deepEqual(rig.troubles, []);
      }),
    );
  return { rig, test };
}
