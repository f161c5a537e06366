// Tests how the page of c_examples/chat looks: long names, phones, dark mode, empty lists, and the pictures of the documentation.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../tools/servers/servers.mjs';
import { within } from '../../tools/servers/subscriber.mjs';
import { overflow, schemes } from '../browser/browser.mjs';
import { picture } from '../pictures.mjs';
import { pusherJs, removeOwnWebhook, resize, setUp, shows, texts, toggleSide, until, write } from './rig.mjs';

const phones = [390, 320];
const widths = [1280, ...phones];
const { rig, test } = setUp();

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
  const fits = async (page, where) => {
    assert.equal(await overflow(page), 0, where);
    const parts =
      'header, main, button, input, #log, #say, #side, #side h2, #side bdi, #messages bdi, #webhooks p, .text, #notice';
    assert.deepEqual(await cut(page, parts), [], where);
  };
  for (const name of names) {
    const page = await rig.comeIn(name);
    await write(page, 'hello');
    await shows(ada, '#webhooks bdi', name);
    await shows(ada, '#messages bdi', name);
    await page.getByRole('button', { name: 'Wave to Ada' }).click();
    await ada.locator('#notice', { hasText: `${name} waves to you` }).waitFor();
    for (const reader of [ada, page]) {
      // Of the own name, only the smallest width is different.
      for (const width of reader === ada ? widths : [320]) {
        const where = `${name}, ${reader === ada ? 'with another' : 'alone'}, ${width} px`;
        await resize(reader, width);
        await fits(reader, where);
        if (width === 1280) continue;
        await toggleSide(reader);
        await fits(reader, `${where}, with the side`);
        await toggleSide(reader);
      }
    }
    await toggleSide(ada);
    await ada.getByRole('button', { name: `Wave to ${name}` }).click();
    await page.locator('#notice', { hasText: 'Ada waves to you' }).waitFor();
    await toggleSide(ada);
    await rig.leave(page);
  }
});

test('a name that is written from right to left does not reorder what is beside it', async () => {
  const ada = await rig.comeIn('Ada', 1280);
  /** Returns where the name ends, and where the first and the last letter behind it begin. */
  const edges = (selector, name) =>
    ada.evaluate(
      ([selector, name]) => {
        const element = [...document.querySelectorAll(selector)].find(({ textContent }) => textContent.includes(name));
        const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        const boxes = [];
        while (texts.nextNode()) {
          const { data } = texts.currentNode;
          for (let at = 0; at < data.length; at++) {
            const range = document.createRange();
            range.setStart(texts.currentNode, at);
            range.setEnd(texts.currentNode, at + 1);
            if (/[\p{L}\p{N}]/u.test(data[at])) boxes.push(range.getBoundingClientRect());
          }
        }
        const letters = name.match(/[\p{L}\p{N}]/gu).length;
        const end = Math.max(...boxes.slice(0, letters).map(({ right }) => right));
        return [end, boxes[letters].left, boxes.at(-1).left];
      },
      [selector, name],
    );
  // The second one has a control character that makes what follows it run from right to left.
  for (const name of ['شهرزاد (1)', 'Eve\u202e']) {
    const page = await rig.comeIn(name);
    await write(page, 'hello');
    await shows(ada, '#messages bdi', name);
    await shows(ada, '#webhooks .what', `${name} came in`);
    await page.getByRole('button', { name: 'Wave to Ada' }).click();
    await ada.locator('#notice', { hasText: `${name} waves to you` }).waitFor();
    for (const selector of ['#messages .by', '#webhooks .what', '#notice']) {
      const [end, first, last] = await edges(selector, name);
      assert.ok(end <= first + 1 && first < last, `${selector}: ${name} ends at ${end}, then ${first} to ${last}`);
    }
    await rig.leave(page);
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
