// Tests the documentation site in headless Chromium: widths, themes, accessibility, tabs, search, and the pictures in docs/pictures.
// SITE is its folder.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { display, launch, overflow, schemes, violations } from '../browser/browser.mjs';
import { picture } from '../pictures.mjs';

const site = process.env.SITE;
const timeout = 300_000;

const PAGES = {
  front: 'index.html',
  guide: 'errors.html',
  group: 'group__c-authorize-and-authenticate.html',
  reference: 'pusher_8h.html',
};
const WIDTHS = [390, 1280];
// Each page at each width, and each theme at each width.
const PICTURES = [
  ['front', 1280, 'light'],
  ['front', 390, 'dark'],
  ['guide', 1280, 'dark'],
  ['guide', 390, 'light'],
  ['group', 1280, 'light'],
  ['group', 390, 'dark'],
  ['reference', 1280, 'dark'],
  ['reference', 390, 'light'],
];
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };

let browser;
let server;
let address;

/** Runs `body` with a page in a window of this width and theme. The page may ask nobody else for anything. */
async function open(file, width, scheme, body, options = {}) {
  const context = await browser.newContext({ ...display(width, scheme), deviceScaleFactor: 1, ...options });
  const problems = [];
  try {
    const page = await context.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(address)) problems.push(`asks for ${request.url()}`);
    });
    page.on('response', (response) => {
      if (!response.ok()) problems.push(`has no ${response.url()}`);
    });
    await page.goto(`${address}${file}`);
    await body(page);
    assert.deepEqual(problems, [], file);
  } finally {
    await context.close();
  }
}

// Each test has a context of its own, so several run at a time.
describe('the documentation site', { timeout, concurrency: 4 }, () => {
  before(async () => {
    server = createServer((request, response) => {
      try {
        const { pathname } = new URL(request.url, address);
        const bytes = readFileSync(join(site, pathname));
        response.writeHead(200, { 'Content-Type': TYPES[extname(pathname)] ?? 'application/octet-stream' }).end(bytes);
      } catch {
        response.writeHead(404).end();
      }
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    address = `http://127.0.0.1:${server.address().port}/`;
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    server?.close();
  });

  it('fits the window on every page, opened from the disk', async () => {
    const files = readdirSync(site).filter((file) => file.endsWith('.html'));
    assert.ok(files.length > 60, `only ${files.length} pages`);
    const context = await browser.newContext(display(390));
    const page = await context.newPage();
    for (const file of files) {
      await page.goto(`${pathToFileURL(join(site, file))}`);
      assert.equal(await overflow(page), 0, file);
    }
    await context.close();
  });

  for (const [name, file] of Object.entries(PAGES)) {
    for (const width of WIDTHS) {
      it(`fits, and axe finds nothing, in both themes: ${name}, ${width} px`, () =>
        open(file, width, 'light', async (page) => {
          const grounds = new Set();
          for (const colorScheme of schemes) {
            await page.emulateMedia({ colorScheme });
            assert.equal(await overflow(page), 0, colorScheme);
            assert.deepEqual(await violations(page), [], colorScheme);
            grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
          }
          assert.equal(grounds.size, 2, 'the themes have one background');
        }));
    }
  }

  it('has no violation while the menu or the results of a search are shown', async () => {
    await open(PAGES.guide, 390, 'light', async (page) => {
      await page.getByRole('button', { name: 'Menu' }).click();
      await page.getByRole('link', { name: 'Getting started', exact: true }).first().waitFor();
      assert.deepEqual(await violations(page), []);
    });
    await open(PAGES.guide, 390, 'dark', async (page) => {
      await page.getByRole('searchbox', { name: 'Search' }).fill('pusher');
      await page.keyboard.press('ArrowDown');
      const { x, width } = await page.locator('search ul').boundingBox();
      assert.ok(x >= 0 && x + width <= 390, `the results are from ${x} to ${x + width}`);
      assert.deepEqual(await violations(page), []);
      assert.equal(await overflow(page), 0);
    });
  });

  it('finds planted faults: a wide element, low contrast, a missing alternative, a request elsewhere', async () => {
    const plant = (markup) => (page) =>
      page.evaluate((html) => document.querySelector('main').insertAdjacentHTML('beforeend', html), markup);
    await open(PAGES.guide, 390, 'light', async (page) => {
      await plant('<p style="width: 500px">wide</p>')(page);
      assert.equal(await overflow(page), 500 + 16 - 390);
    });
    await open(PAGES.group, 1280, 'light', async (page) => {
      await plant('<p style="color: #aaa; background: #fff">pale</p><img src="icon.svg"><h6>deep</h6>')(page);
      const rules = (await violations(page)).map((found) => found.replace(/:.*/s, ''));
      assert.deepEqual(rules.sort(), ['color-contrast', 'heading-order', 'image-alt']);
    });
    const elsewhere = open(PAGES.guide, 1280, 'light', async (page) => {
      const failed = page.waitForEvent('requestfailed');
      await plant('<img src="http://127.0.0.1:1/" alt="">')(page);
      await failed;
    });
    await assert.rejects(elsewhere, /asks for http:\/\/127\.0\.0\.1:1\//);
  });

  it('shows one program at a time, by the keyboard', () =>
    open(PAGES.front, 1280, 'light', async (page) => {
      const shown = async () => ({
        tab: await page.locator('[role=tab][aria-selected=true]').allTextContents(),
        panel: (await page.locator('[role=tabpanel]:visible').allTextContents()).map((text) => text.trim()),
      });
      const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
      await page.locator('main').press('Tab');
      for (let count = 0; (await focused()) !== 'C'; count += 1) {
        assert.ok(count < 10, 'Tab does not reach the tabs');
        await page.keyboard.press('Tab');
      }
      const expected = {
        C: /pusher_trigger\(/,
        'C++': /client\.trigger\(/,
        Go: /client\.Trigger\(/,
        Python: /^import libpusher/,
        Ruby: /^require/,
        PHP: /^use LibPusher/,
      };
      for (const [language, program] of Object.entries(expected)) {
        const { tab, panel } = await shown();
        assert.deepEqual(tab, [language]);
        assert.equal(panel.length, 1);
        assert.match(panel[0], program);
        assert.equal(await focused(), language);
        await page.keyboard.press('ArrowRight');
      }
      assert.equal(await focused(), 'C');
      await page.keyboard.press('ArrowLeft');
      assert.equal(await focused(), 'PHP');
      await page.keyboard.press('Home');
      assert.equal(await focused(), 'C');
      await page.keyboard.press('End');
      assert.equal(await focused(), 'PHP');
      await page.keyboard.press('Tab');
      assert.match(await focused(), /^use LibPusher/);
    }));

  it('shows all programs without a script, and the list of pages', () =>
    open(
      PAGES.front,
      390,
      'light',
      async (page) => {
        const headings = await page.locator('.programs h3:visible').allTextContents();
        assert.deepEqual(
          headings.map((text) => text.trim()),
          ['C', 'C++', 'Go', 'Python', 'Ruby', 'PHP'],
        );
        assert.equal(await page.locator('.programs .fragment:visible').count(), 6);
        await page.getByRole('link', { name: 'Menu' }).click();
        await page.getByRole('link', { name: 'Validate webhooks' }).last().click();
        assert.equal((await page.locator('h1').textContent()).trim(), 'Validate webhooks');
      },
      { javaScriptEnabled: false },
    ));

  it('finds a function, a heading of a guide and a class, by the keyboard', async () => {
    for (const [query, file, words] of [
      ['pusher_authenticate_user', 'group__c-authorize-and-authenticate.html', 'pusher_authenticate_user'],
      ['shutting down', 'errors.html', 'Shutting down'],
      ['pusher::client', 'classpusher_1_1client.html', 'pusher::client'],
    ]) {
      await open(PAGES.front, 390, 'light', async (page) => {
        await page.keyboard.press('/');
        await page.keyboard.type(query);
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await page.waitForURL((url) => url.pathname.endsWith(`/${file}`));
        const target = await page.evaluate(() => {
          const place = location.hash
            ? document.getElementById(decodeURIComponent(location.hash.slice(1)))
            : document.querySelector('h1');
          return `${place.textContent} ${place.nextElementSibling?.textContent}`;
        });
        assert.ok(target.includes(words), `${query} leads to ${target.slice(0, 80)}`);
      });
    }
    await open(PAGES.front, 1280, 'light', async (page) => {
      const status = page.locator('search [role=status]');
      await page.getByRole('searchbox').fill('no such thing');
      assert.equal(await status.textContent(), 'No results');
      await page.getByRole('searchbox').fill('pusher_');
      assert.equal(await status.textContent(), '20 results');
      const focused = () =>
        page.evaluate(() => [...document.querySelectorAll('search a')].indexOf(document.activeElement));
      for (const [key, expected] of [
        ['ArrowUp', 19],
        ['ArrowDown', -1],
        ['ArrowDown', 0],
        ['ArrowDown', 1],
        ['ArrowUp', 0],
      ]) {
        await page.keyboard.press(key);
        assert.equal(await focused(), expected, key);
      }
      await page.keyboard.press('Escape');
      assert.equal(await page.locator('search li:visible').count(), 0);
    });
  });

  for (const [name, width, scheme] of PICTURES) {
    it(`is as in its picture: ${name}, ${width} px, ${scheme}`, () =>
      open(PAGES[name], width, scheme, (page) =>
        picture(page, `site-${name}-${width}-${scheme}`, { volatile: ['.version'] }),
      ));
  }
});
