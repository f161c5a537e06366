// Tests e2e/pictures.mjs: a picture of another page is found, and nothing else is.

import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { picture } from '../pictures.mjs';
import { display, launch } from './browser.mjs';

const place = mkdtempSync(join(tmpdir(), 'libpusher-pictures-'));
const folder = pathToFileURL(`${place}/`);
const dot = (colour) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="${colour}"/></svg>`;
const html = `<!doctype html><html lang="en"><title>A page</title>
  <style>
    h1 { color: #123456 } p::before { content: '-' } .unused { color: red }
    @media (prefers-color-scheme: dark) { body { background: black } }
    footer { position: absolute; top: 3000px }
  </style>
  <h1>A title</h1><p>Some text, at <time>12:00</time>.</p><p hidden>Not shown.</p><input value="typed"><img src="dot.svg" alt="a dot">
  <footer>Far below.</footer>`;

let browser;
let page;
before(async () => {
  browser = await launch();
  page = await (await browser.newContext(display(390))).newPage();
  await open();
  await take();
});
after(async () => {
  await browser.close();
  rmSync(place, { recursive: true });
});

const take = () => picture(page, 'page', { folder, volatile: ['time'], take: true });
const check = () => picture(page, 'page', { folder, volatile: ['time'], take: false });

/** Opens the page with `from` replaced by `to`. */
async function open(from = '', to = '') {
  assert.ok(html.includes(from), from);
  writeFileSync(join(place, 'dot.svg'), dot('red'));
  writeFileSync(join(place, 'page.html'), html.replace(from, to));
  await page.goto(new URL('page.html', folder).href);
}

it('finds a picture of another page', async () => {
  const changes = [
    ['A title', 'Another title'],
    ['#123456', '#123457'],
    ["'-'", "'+'"],
    ['<h1>A title</h1>', ''],
    ['<p hidden>', '<p>'],
    ['value="typed"', 'value="other"'],
    ['@media (prefers-color-scheme: dark)', '@media (prefers-color-scheme: light)'],
    ['top: 3000px', 'top: 30px'],
  ];
  for (const [from, to] of changes) {
    await open(from, to);
    await assert.rejects(check(), /page\.png is stale: PUSHER_WRITE_PICTURES=1/, `${from} -> ${to}`);
  }
  await open();
  writeFileSync(join(place, 'dot.svg'), dot('blue'));
  await assert.rejects(check(), /image dot\.svg/);
  await page.emulateMedia({ colorScheme: 'dark' });
  await open();
  await assert.rejects(check(), /\+ body \{/);
  await page.emulateMedia({ colorScheme: 'light' });
});

it('names the lines that differ', async () => {
  await open('A title', 'Another title');
  await assert.rejects(check(), /\n- +h1 "A title"\n\+ +h1 "Another title"$/);
});

it('finds no change in what the picture does not show', async () => {
  const changes = [
    ['', ''],
    ['12:00', '13:00'],
    ['.unused { color: red }', ''],
    ['Not shown', 'Hidden'],
    ['Far below', 'Farther below'],
  ];
  for (const [from, to] of changes) {
    await open(from, to);
    await check();
  }
});

it('takes only a stale picture again', async () => {
  const time = () => statSync(join(place, 'page.png')).mtimeMs;
  const before = time();
  await open('12:00', '13:00');
  await take();
  assert.equal(time(), before);
  await open('A title', 'Another title');
  await take();
  assert.notEqual(time(), before);
  await check();
  await open();
  await take();
});

it('finds a structure without its picture, and a picture without its structure', async () => {
  await open();
  appendFileSync(join(place, 'page.png'), ' ');
  await assert.rejects(check(), /page\.txt belongs to another picture/);
  rmSync(join(place, 'page.png'));
  await assert.rejects(check(), /page\.png/);
  await take();
  await check();
  rmSync(join(place, 'page.txt'));
  await assert.rejects(check(), /page\.txt/);
});
