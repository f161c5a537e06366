// Tests the page of c_examples/chat: long names, phones, dark mode, empty lists, a lost connection, keyboards, screen readers, and
// the pictures of the documentation.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePorts, showing } from '../../tools/servers/servers.mjs';
import { within } from '../../tools/servers/subscriber.mjs';
import { overflow, schemes, size, violations } from '../browser/browser.mjs';
import { picture } from '../pictures.mjs';
import { pusherJs, Rig, shows, texts, timeout, write } from './rig.mjs';

const phones = [390, 320];
const widths = [1280, ...phones];

let rig;
before(
  async () => {
    rig = await Rig.start();
  },
  { timeout },
);
after(() => rig?.stop());
afterEach(() => rig.reset());

const test = (title, body) =>
  it(title, { timeout }, () =>
    showing(rig.server, async () => {
      rig.troubles.length = 0;
      await body();
      assert.deepEqual(rig.troubles, []);
    }),
  );

const resize = (page, width) => page.setViewportSize(size(width));

/** Returns the visible elements of a list of selectors that are not entirely in the window, as far as its width goes. */
const cut = (page, selectors) =>
  page.evaluate(
    (selectors) =>
      [...document.querySelectorAll(selectors)]
        .filter((element) => element.checkVisibility({ visibilityProperty: true }))
        .filter((element) => {
          const { left, right } = element.getBoundingClientRect();
          // An element with a text that does not fit is cut, too.
          const isTooLong = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
          return left < 0 || right > innerWidth || isTooLong;
        })
        .map((element) => `${element.id || element.className || element.localName}: ${element.textContent}`),
    selectors,
  );

/** Removes the webhook of a person's own arrival: it comes before the person's subscription, or after it. */
const removeOwnWebhook = (page, name) =>
  page.evaluate((name) => {
    for (const item of document.querySelectorAll('#webhooks li'))
      if (item.querySelector('bdi').textContent === name) item.remove();
  }, name);

const toggleSide = (page) => page.evaluate(() => document.querySelector('#side-toggle').click());

/** Waits for a function of the page, such as `visible`, to be true. */
const until = (page, condition, argument) => page.waitForFunction(condition, argument);

test('names of 40 characters fit at each width', async () => {
  const names = [
    'Wolfeschlegelsteinhausenbergerdorff Smit',
    'W'.repeat(40),
    '🎈'.repeat(40),
    '漢字'.repeat(20),
    'شهرزاد'.repeat(6) + 'شهرز',
  ];
  for (const name of names) assert.equal([...name].length, 40, name);
  const ada = await rig.comeIn('Ada');
  const pages = await Promise.all(names.map((name) => rig.comeIn(name)));
  await Promise.all(pages.map((page) => write(page, 'hello')));
  for (const name of names) {
    await shows(ada, '#webhooks bdi', name);
    await shows(ada, '#messages bdi', name);
    for (const page of pages) await shows(page, '#members bdi', name);
  }
  const fits = async (page, where) => {
    assert.equal(await overflow(page), 0, where);
    const parts =
      'header, main, button, input, #log, #say, #side, #side h2, #side bdi, #messages bdi, #webhooks p, .text, #notice';
    assert.deepEqual(await cut(page, parts), [], where);
  };
  for (const width of widths) {
    // Ada sees all names; each person sees the own name in other places.
    for (const [at, page] of [ada, ...pages].entries()) {
      if (page !== ada && width === 390) continue;
      const where = `${['Ada', ...names][at]} at ${width} px`;
      await resize(page, width);
      await fits(page, where);
      if (page !== ada || width === 1280) continue;
      await toggleSide(page);
      await fits(page, `${where}, with the side`);
      await toggleSide(page);
    }
  }
  // At the smallest width, all can be waved to.
  await toggleSide(ada);
  for (const [at, name] of names.entries()) {
    await ada.getByRole('button', { name: `Wave to ${name}` }).click();
    await pages[at].locator('#notice', { hasText: 'Ada waves to you' }).waitFor();
  }
  await toggleSide(pages[1]);
  await pages[1].getByRole('button', { name: 'Wave to Ada' }).click();
  await ada.locator('#notice', { hasText: `${names[1]} waves to you` }).waitFor();
  await fits(ada, 'the notice');
});

test('a name that is written from right to left does not reorder what is beside it', async () => {
  const name = 'شهرزاد (1)';
  const ada = await rig.comeIn('Ada', 1280);
  const page = await rig.comeIn(name);
  await write(page, 'hello');
  await shows(ada, '#messages bdi', name);
  await shows(ada, '#webhooks .what', `${name} came in`);
  await page.getByRole('button', { name: 'Wave to Ada' }).click();
  await ada.locator('#notice', { hasText: `${name} waves to you` }).waitFor();
  /** Returns where the name ends, and where the text behind it begins. */
  const edges = (selector) =>
    ada.evaluate((selector) => {
      const element = [...document.querySelectorAll(selector)].at(-1);
      const all = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      const boxes = [];
      while (all.nextNode()) {
        const range = document.createRange();
        range.selectNodeContents(all.currentNode);
        if (all.currentNode.data.trim()) boxes.push(range.getBoundingClientRect());
      }
      return [boxes[0].right, boxes.at(-1).left];
    }, selector);
  for (const selector of ['#messages .by', '#webhooks .what', '#notice']) {
    const [end, begin] = await edges(selector);
    assert.ok(begin >= end - 1, `${selector}: the name ends at ${end}, the text behind it begins at ${begin}`);
  }
});

test('on a phone, everything is in the window, and people and webhooks are one touch away', async () => {
  const grace = await rig.comeIn('Grace');
  const page = await rig.comeIn('Ada', 390);
  await grace.close();
  await shows(page, '#webhooks .what', 'Grace left');
  const other = await rig.comeIn('Linus');
  await shows(page, '#members bdi', 'Linus');
  for (const width of phones) {
    await resize(page, width);
    const toggle = page.getByRole('button', { name: '2 here' });
    const side = page.locator('#side');
    assert.equal(await side.isVisible(), false);
    const log = await page.locator('#log').boundingBox();
    assert.ok(log.height > 500, `the messages have ${log.height} px`);
    await toggle.click();
    assert.equal(await toggle.getAttribute('aria-expanded'), 'true');
    for (const part of ['#members', '#hooks', '#webhooks', '#say', '#sign-out', '#side-toggle']) {
      const box = await page.locator(part).boundingBox();
      assert.ok(
        box.x >= 0 && box.x + box.width <= width && box.y + box.height <= 780,
        `${part} at ${width} px: ${JSON.stringify(box)}`,
      );
    }
    assert.deepEqual(await cut(page, '#side h2, #webhooks p, #webhooks code, #members li'), []);
    for (const button of await page.locator('button:visible, input:visible').all()) {
      const { height } = await button.boundingBox();
      assert.ok(height >= 40, `a finger needs more than ${height} px: ${await button.textContent()}`);
    }
    // The keyboard of iOS zooms in on a field with a smaller font.
    assert.equal(
      await page.locator('#text').evaluate((field) => parseFloat(getComputedStyle(field).fontSize) >= 16),
      true,
    );
    await page.locator('#side').press('Escape');
    assert.equal(await side.isVisible(), false);
    assert.equal(await toggle.evaluate((button) => button === document.activeElement), true);
  }
  await other.close();
});

test('the page is dark if the reader prefers that, and changes while it is open', async () => {
  const page = await rig.open(1280, { colorScheme: 'dark' });
  /** Returns the lightness of the background that each element has or inherits, from 0 to 1. */
  const lightness = (selectors) =>
    page.evaluate(
      (selectors) =>
        selectors.map((selector) => {
          let element = document.querySelector(selector);
          let colour;
          do {
            colour = getComputedStyle(element).backgroundColor;
            element = element.parentElement;
          } while (element && colour === 'rgba(0, 0, 0, 0)');
          const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
          return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
        }),
      selectors,
    );
  const door = ['html', '#sign-in', '#name'];
  const room = ['html', 'header', '#log', '#say', '#text', '#side', '#messages .text'];
  const check = async (selectors, isDark) => {
    for (const [at, value] of (await lightness(selectors)).entries()) {
      assert.ok(isDark ? value < 0.2 : value > 0.8, `${selectors[at]} has the lightness ${value}`);
    }
    const scheme = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    assert.equal(scheme, 'light dark', 'scroll bars and form controls follow');
  };
  await check(door, true);
  const grace = await rig.comeIn('Grace');
  await page.fill('#name', 'Ada');
  await page.press('#name', 'Enter');
  await page.locator('#connection[data-state=connected]').waitFor();
  await write(grace, 'hello');
  await shows(page, '#messages .text', 'hello');
  await check(room, true);
  await page.emulateMedia({ colorScheme: 'light' });
  await check(room, false);
  await page.emulateMedia({ colorScheme: 'dark' });
  await check(room, true);
});

test('empty lists say so, until something is in them', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  const isShown = (selector) => ada.locator(selector).isVisible();
  assert.equal(await isShown('#no-messages'), true);
  assert.equal(await isShown('#no-others'), true);
  assert.deepEqual(await texts(ada, '#members bdi'), ['Ada']);
  assert.equal(await ada.locator('#here .count').textContent(), '1');
  const grace = await rig.comeIn('Grace', 1280);
  assert.equal(await grace.locator('#no-others').isVisible(), false);
  await shows(ada, '#webhooks .what', 'Grace came in');
  assert.equal(await isShown('#no-webhooks'), false);
  assert.equal(await isShown('#no-others'), false);
  assert.equal(await isShown('#no-messages'), true);
  await write(grace, 'hello');
  await shows(ada, '#messages .text', 'hello');
  assert.equal(await isShown('#no-messages'), false);
  await grace.close();
  await ada.locator('#no-others').waitFor();
  assert.equal(await ada.locator('#here .count').textContent(), '1');
});

test('without webhooks, the list says that there are none yet', async () => {
  rig.passesWebhooks = false;
  const ada = await rig.comeIn('Ada', 1280);
  const grace = await rig.comeIn('Grace');
  await shows(ada, '#members bdi', 'Grace');
  await write(grace, 'hello');
  await shows(ada, '#messages .text', 'hello');
  assert.equal(await ada.locator('#no-webhooks').isVisible(), true);
  assert.match(await ada.locator('#no-webhooks').textContent(), /^\s*None yet\./);
});

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

  const attempt = ada.waitForEvent('websocket');
  await rig.line.cut();
  for (const page of [ada, grace]) {
    // pusher-js changes its state after a second.
    await page.locator('#connection[data-state=connecting]').waitFor({ timeout: 900 });
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
  await once(await attempt, 'socketerror');
  assert.equal(await ada.locator('#connection').getAttribute('data-state'), 'connecting');

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
  await page.route('**/pusher/auth', (route) => (refused++ < 2 ? route.abort() : route.continue()));
  await rig.line.cut();
  await page.locator('#connection[data-state=connecting]').waitFor();
  await rig.line.open();
  await page.locator('#connection[data-state=connected]').waitFor({ timeout: 14_000 });
  assert.ok(refused > 2);
  await shows(page, '#members bdi', 'Ada');
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
      const pair = [outlineColor, getComputedStyle(around).backgroundColor].map(luminance).sort();
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
    await rig.leave(grace.context());
    await rig.leave(page.context());
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

test('the command of the documentation runs a chat that receives webhooks', async () => {
  const [port] = await freePorts(1);
  const address = `http://127.0.0.1:${port}`;
  const program = join(process.env.PROGRAMS, 'chat');
  const script = fileURLToPath(new URL('../../tools/servers/run.mjs', import.meta.url));
  const args = [
    script,
    'soketi',
    '--webhook',
    `${address}/webhook`,
    program,
    '--pusher-js',
    pusherJs,
    '--port',
    `${port}`,
  ];
  // In a process group of its own, which Ctrl-C reaches as a whole.
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await within(20_000, () => 'the chat does not start', once(child.stdout, 'data'));
    const ada = await rig.comeIn('Ada', 1280, { address });
    const grace = await rig.comeIn('Grace', 1280, { address });
    await shows(ada, '#webhooks .what', 'Grace came in');
    await grace.close();
    await ada.close();
  } finally {
    process.kill(-child.pid, 'SIGINT');
    await within(10_000, () => 'the chat does not end', ended);
  }
});

test('the pictures of the documentation show this page', async () => {
  const ada = await rig.comeIn('Ada', 1280, { deviceScaleFactor: 1.5 });
  const grace = await rig.comeIn('Grace');
  const barbara = await rig.comeIn('Barbara');
  await shows(ada, '#webhooks .what', 'Barbara came in');
  const said = [
    [grace, 'Hi Ada! Is this really served by a C program? 🎈'],
    [ada, 'It is. Try to break it 😄'],
    [grace, '<script>alert("broken?")</script>'],
    [ada, '<b>"No"</b>, it\'s text & stays text \\o/ 👩‍🚀 Grüße, мир, שלום'],
    [barbara, 'Close your laptop and open it again: the page reconnects, and sends what you wrote meanwhile.'],
    [grace, 'And on my phone it is dark 🌙'],
  ];
  for (const [page, text] of said) {
    await write(page, text);
    await shows(ada, '#messages .text', text);
  }
  await removeOwnWebhook(ada, 'Ada');
  await until(ada, () => document.querySelectorAll('#outbox li').length === 0);
  for (const width of [1280, 390]) {
    await resize(ada, width);
    for (const colorScheme of schemes) {
      await ada.emulateMedia({ colorScheme });
      await ada.evaluate(() => {
        document.querySelector('#log').scrollTop = 1e6;
      });
      await picture(ada, `chat-${width}-${colorScheme}`, { volatile: ['time'] });
    }
  }
});
