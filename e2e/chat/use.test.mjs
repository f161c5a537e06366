// Tests how the page of c_examples/chat is used: without a connection, with a keyboard, with a screen reader.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { within } from '../../tools/servers/subscriber.mjs';
import { schemes, violations } from '../browser/browser.mjs';
import { removeOwnWebhook, resize, setUp, shows, texts, toggleSide, until, write } from './rig.mjs';

const { rig, test } = setUp();

/** Returns the texts of the messages that are not sent, each with its state. */
const outbox = (page) =>
  page
    .locator('#outbox li')
    .evaluateAll((items) =>
      items.map((item) => [item.querySelector('.text').textContent, item.querySelector('.state').textContent]),
    );

test('a lost connection shows, the page recovers by itself, and messages wait meanwhile', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  const grace = await rig.comeIn('Grace', 390);
  await shows(ada, '#members bdi', 'Grace');
  await write(ada, 'before');
  await shows(grace, '#messages .text', 'before');
  // The browser reports the failed attempts to connect.
  for (const page of [ada, grace]) rig.expectErrors(page);
  const posts = [];
  ada.on('request', (request) => request.url().endsWith('/say') && posts.push(request.postData()));

  await ada.evaluate(() => {
    const { WebSocket } = globalThis;
    const times = (globalThis.times = {});
    globalThis.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        times.attempt ??= performance.now();
      }
    };
    const note = () => (times.shown ??= performance.now());
    new MutationObserver(note).observe(document.querySelector('#trouble p'), { childList: true });
  });
  const failed = ada.waitForEvent('websocket').then((socket) => once(socket, 'socketerror'));
  await rig.line.cut();
  for (const page of [ada, grace]) {
    await page.locator('#connection[data-state=connecting]').waitFor();
    assert.match(
      await page.locator('#trouble').textContent(),
      /^\s*No connection\. Messages that you write now are sent/,
    );
    assert.equal(await page.locator('#trouble').isVisible(), true);
  }
  await write(ada, 'first');
  await write(ada, 'second');
  assert.deepEqual(await outbox(ada), [
    ['first', 'waits for the connection'],
    ['second', 'waits for the connection'],
  ]);
  assert.equal(await ada.locator('#text').inputValue(), '');
  assert.deepEqual(posts, []);
  // The first attempt fails.
  await failed;
  assert.equal(await ada.locator('#connection').getAttribute('data-state'), 'connecting');
  // pusher-js changes its state only then, a second after the connection was lost.
  const { shown, attempt: first } = await ada.evaluate(() => globalThis.times);
  assert.ok(first - shown > 500, `the loss shows ${first - shown} ms before the first attempt`);

  await rig.line.open();
  for (const page of [ada, grace]) {
    // pusher-js alone takes 15 s.
    await page.locator('#connection[data-state=connected]').waitFor({ timeout: 10_000 });
    assert.equal((await page.locator('#trouble').textContent()).trim(), 'Reload');
    assert.equal((await page.locator('#trouble').boundingBox())?.height ?? 0, 0);
    await page.locator('#messages .gap', { hasText: 'may be missing' }).waitFor();
  }
  await until(ada, () => document.querySelectorAll('#outbox li').length === 0);
  assert.deepEqual(await texts(ada, '#messages .text'), ['before', 'first', 'second']);
  assert.deepEqual(posts, ['text=first', 'text=second']);
  // The two are signed in again, and see each other.
  for (const page of [ada, grace]) await until(page, () => document.querySelectorAll('#members li').length === 2);
  await ada.getByRole('button', { name: 'Wave to Grace' }).click();
  await grace.locator('#notice', { hasText: 'Ada waves to you' }).waitFor();
  await write(grace, 'after');
  await shows(ada, '#messages .text', 'after');
});

test('a message that was sent just before the connection broke is not lost from sight', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  rig.expectErrors(ada);
  rig.line.hold();
  await write(ada, 'on its way');
  await ada.locator('#outbox .state', { hasText: /^sent$/ }).waitFor();
  await rig.line.cut();
  await shows(ada, '#messages .text', 'on its way');
  assert.deepEqual(await outbox(ada), []);
  await rig.line.open();
});

test('a message that cannot be sent stays, says why, and can be sent again or discarded', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  rig.expectErrors(ada);
  await rig.api.cut();
  await write(ada, 'to Channels');
  await ada.locator('#outbox .state', { hasText: 'Not sent: Channels does not answer' }).waitFor();
  // The chat itself cannot be reached, and only the connection to Channels is left.
  await ada.route('**/say', (route) => route.abort());
  await write(ada, 'to the chat');
  await ada.locator('#outbox .state', { hasText: 'It may have been sent: the chat server does not answer' }).waitFor();
  await ada.unroute('**/say');
  // Leaving the page would lose both.
  ada.removeAllListeners('dialog').once('dialog', (dialog) => dialog.dismiss());
  const asked = once(ada, 'dialog');
  await ada.close({ runBeforeUnload: true });
  assert.equal((await within(5000, () => 'no question before the page is left', asked))[0].type(), 'beforeunload');

  await rig.api.open();
  await ada.locator('#outbox li', { hasText: 'to Channels' }).getByRole('button', { name: 'Send again' }).click();
  await shows(ada, '#messages .text', 'to Channels');
  assert.equal(await isFocused(ada, '#text'), true);
  await ada.getByRole('button', { name: 'Discard' }).click();
  assert.deepEqual(await outbox(ada), []);
  assert.equal(await isFocused(ada, '#text'), true);
  assert.deepEqual(await texts(ada, '#messages .text'), ['to Channels']);
});

test('a session that is over shows, and reloading leads to the door', async () => {
  const page = await rig.comeIn('Ada');
  rig.expectErrors(page);
  await page.evaluate(() => fetch('/sign-out', { method: 'POST' }));
  await page.locator('#trouble', { hasText: 'The server has closed the connection' }).waitFor();
  assert.equal(await page.locator('#connection').textContent(), 'disconnected');
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.locator('#door').waitFor();
});

test('the page subscribes again if the chat did not answer', async () => {
  const page = await rig.comeIn('Ada');
  rig.expectErrors(page);
  let refused = 0;
  await page.route('**/pusher/auth', (route) => {
    const isRefused = refused === 0 && route.request().postData().includes('presence-room');
    refused += isRefused;
    return isRefused ? route.abort() : route.continue();
  });
  await rig.line.cut();
  await page.locator('#connection[data-state=connecting]').waitFor();
  await rig.line.open();
  await page.locator('#connection[data-state=connected]').waitFor({ timeout: 14_000 });
  assert.equal(refused, 1);
  await rig.comeIn('Grace');
  await shows(page, '#members bdi', 'Grace');
});

const isFocused = (page, selector) =>
  page.evaluate((selector) => document.querySelector(selector) === document.activeElement, selector);

/** Presses Tab through the whole page, and returns what had the focus and how it showed. */
async function tour(page) {
  const isOutside = () => page.evaluate(() => document.activeElement === document.body);
  do await page.keyboard.press('Tab');
  while (!(await isOutside()));
  const stops = [];
  for (;;) {
    await page.keyboard.press('Tab');
    if (await isOutside()) return stops;
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
      const { left, right, top, bottom } = element.getBoundingClientRect();
      /** Returns the relative luminance of a colour, as WCAG defines it. */
      const luminance = (colour) => {
        const [r, g, b] = colour
          .match(/[\d.]+/g)
          .map((value) => value / 255)
          .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      let behind = element;
      while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)' && behind.parentElement)
        behind = behind.parentElement;
      const around = element.matches('#log, #side')
        ? behind
        : element.parentElement.closest('header, form, aside, main');
      const pair = [outlineColor, getComputedStyle(around).backgroundColor]
        .map(luminance)
        .sort((one, other) => one - other);
      return {
        name: element.id || element.getAttribute('aria-label') || element.textContent.trim(),
        isVisible: outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2,
        contrast: (pair[1] + 0.05) / (pair[0] + 0.05),
        isInWindow: right > 0 && left < innerWidth && bottom > 0 && top < innerHeight,
      };
    });
    stops.push(stop);
  }
}

test('the keyboard reaches everything, and the focus shows', async () => {
  for (const colorScheme of schemes) {
    const page = await rig.open(1280, { colorScheme });
    await until(page, () => document.activeElement.id === 'name');
    const door = await tour(page);
    assert.deepEqual(
      door.map(({ name }) => name),
      ['name', 'Come in'],
    );
    await page.focus('#name');
    await page.keyboard.type(`Ada, ${colorScheme}`);
    await page.keyboard.press('Enter');
    await page.locator('#connection[data-state=connected]').waitFor();
    assert.equal(await isFocused(page, '#text'), true);
    const grace = await rig.comeIn('Grace');
    await shows(page, '#members bdi', 'Grace');
    const order = ['sign-out', 'log', 'text', 'Send', 'side', 'Wave to Grace'];
    const stops = await tour(page);
    assert.deepEqual(
      stops.map(({ name }) => name),
      order,
    );
    await resize(page, 390);
    await page.focus('#side-toggle');
    await page.keyboard.press('Enter');
    const narrow = await tour(page);
    assert.deepEqual(narrow.map(({ name }) => name).sort(), ['side-toggle', ...order].sort());
    for (const { name, isVisible, contrast, isInWindow } of [...door, ...stops, ...narrow]) {
      assert.ok(isVisible, `the focus does not show on ${name}, ${colorScheme}`);
      assert.ok(contrast >= 3, `the focus on ${name} has the contrast ${contrast}, ${colorScheme}`);
      assert.ok(isInWindow, `${name} is not in the window`);
    }
    await rig.leave(grace);
    await rig.leave(page);
  }
});

test('Enter sends, and the focus stays', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  await ada.keyboard.type('one');
  await ada.keyboard.press('Enter');
  await ada.keyboard.type('two');
  await ada.keyboard.press('Enter');
  await ada.keyboard.type('   ');
  await ada.keyboard.press('Enter');
  assert.equal(await isFocused(ada, '#text'), true);
  await ada.fill('#text', 'three');
  await ada.click('#say button');
  assert.equal(await isFocused(ada, '#text'), true);
  await shows(ada, '#messages .text', 'three');
  assert.deepEqual(await texts(ada, '#messages .text'), ['one', 'two', 'three']);

  // People who come and go leave the focus on another's button.
  const grace = await rig.comeIn('Grace');
  await shows(ada, '#members bdi', 'Grace');
  const button = ada.getByRole('button', { name: 'Wave to Grace' });
  await button.focus();
  for (const name of ['Barbara', 'Zoe']) {
    const other = await rig.comeIn(name);
    await shows(ada, '#members bdi', name);
    assert.equal(await button.evaluate((element) => element === document.activeElement), true, `${name} came in`);
    await other.close();
    await until(ada, () => document.querySelectorAll('#members li').length === 2);
    assert.equal(await button.evaluate((element) => element === document.activeElement), true, `${name} left`);
  }
  await ada.keyboard.press('Space');
  await grace.locator('#notice', { hasText: 'Ada waves to you' }).waitFor();
  await grace.close();
  await until(ada, () => document.querySelectorAll('#members li').length === 1);
  assert.equal(await isFocused(ada, '#text'), true);
});

test('a refused name is explained, and the field has the focus', async () => {
  await rig.comeIn('Ada');
  const page = await rig.open();
  rig.expectErrors(page);
  await page.fill('#name', 'Ada');
  await page.click('#sign-in button');
  await page.getByRole('alert').filter({ hasText: 'this name is taken' }).waitFor();
  const field = page.getByRole('textbox', { name: 'Your name' });
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.equal(await field.getAttribute('aria-describedby'), 'name-error');
  assert.equal(await isFocused(page, '#name'), true);
  await page.fill('#name', 'x'.repeat(41));
  await page.press('#name', 'Enter');
  await page.getByRole('alert').filter({ hasText: 'a name has 1 to 40 characters' }).waitFor();
});

test('a screen reader finds landmarks, labels, the log and the state', async () => {
  const page = await rig.open(1280);
  assert.equal(await page.title(), 'The room: a chat served by a C program');
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  // A picture that does not load is not shown.
  await page.evaluate(async () => {
    const icon = new Image();
    icon.src = document.querySelector('link[rel=icon]').href;
    await icon.decode();
  });
  await page.fill('#name', 'Ada');
  await page.press('#name', 'Enter');
  await page.locator('#connection[data-state=connected]').waitFor();
  // What is announced later must be there before, or a screen reader does not watch it.
  const live = await page
    .locator('#room [role=status], #room [role=log], #room [aria-live]')
    .evaluateAll((elements) =>
      elements.map((element) => [element.id, element.checkVisibility({ visibilityProperty: true })]),
    );
  assert.deepEqual(live, [
    ['trouble', true],
    ['log', true],
    ['webhooks', true],
    ['notice', true],
  ]);

  const grace = await rig.comeIn('Grace');
  await shows(page, '#webhooks .what', 'Grace came in');
  await write(grace, 'hello');
  await page.getByRole('log', { name: 'Messages' }).getByText('hello').waitFor();
  await grace.getByRole('button', { name: 'Wave to Ada' }).click();
  await page.getByRole('status').filter({ hasText: 'Grace waves to you' }).waitFor();
  await removeOwnWebhook(page, 'Ada');
  const told = await page.locator('body').ariaSnapshot();
  assert.equal(
    told.replaceAll(/\d\d:\d\d/g, '12:00'),
    `- banner:
  - heading "The room" [level=1]
  - paragraph: connected as Ada
  - button "Leave"
- status:
  - paragraph
- main:
  - heading "Messages" [level=2]
  - log "Messages":
    - list:
      - listitem:
        - paragraph:
          - text: Grace
          - time: 12:00
        - paragraph: hello
  - textbox "Your message":
    - /placeholder: Say something
  - button "Send"
- complementary "People and webhooks":
  - region "Here now 2":
    - heading "Here now 2" [level=2]
    - list:
      - listitem: Ada you
      - listitem:
        - text: Grace
        - button "Wave to Grace": Wave
  - region "Webhooks":
    - heading "Webhooks" [level=2]
    - list:
      - listitem:
        - paragraph: Grace came in
        - paragraph:
          - code: member_added
          - time: 12:00
- status: Grace waves to you 👋`,
  );
});

test('axe-core finds nothing, light and dark, wide and narrow', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  const door = await rig.open(1280);
  for (const page of [ada, door]) rig.expectErrors(page);
  await door.fill('#name', 'Ada');
  await door.click('#sign-in button');
  await door.locator('#name-error:not(:empty)').waitFor();

  const check = async (page, what) => {
    for (const width of [1280, 390]) {
      await resize(page, width);
      for (const colorScheme of schemes) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], `${what}, ${width} px, ${colorScheme}`);
      }
    }
  };
  await check(door, 'the door');
  await check(ada, 'the empty room');
  const grace = await rig.comeIn('شهرزاد');
  rig.expectErrors(grace);
  await write(grace, 'hello');
  await shows(ada, '#messages .text', 'hello');
  await write(ada, 'hello, too');
  await shows(ada, '#messages .text', 'hello, too');
  await shows(ada, '#webhooks bdi', 'شهرزاد');
  await ada.route('**/say', (route) => route.abort());
  await write(ada, 'failed');
  await ada.locator('#outbox [data-state=failed]').waitFor();
  await rig.line.cut();
  await ada.locator('#trouble p:not(:empty)').waitFor();
  await write(ada, 'waiting');
  await toggleSide(ada);
  await check(ada, 'the room without a connection');
  await rig.line.open();
});
