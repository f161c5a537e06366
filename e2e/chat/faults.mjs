// Takes one mend after the other out of a copy of the page, and expects the test for it to fail.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../../c_examples/chat/page', import.meta.url));
const tests = ['page', 'use'].map((name) => fileURLToPath(new URL(`${name}.test.mjs`, import.meta.url)));

// The beginning of the test's name, the file, what is replaced, and by what.
const faults = [
  ['names of 40', 'chat.css', 'overflow-wrap: anywhere', 'overflow-wrap: normal'],
  ['names of 40', 'chat.css', '#members bdi {\n  flex: 1;\n  min-width: 0;', '#members bdi {\n  flex: none;'],
  ['names of 40', 'chat.css', '#title {\n  flex: 1;\n  min-width: 0;', '#title {\n  flex: none;'],
  ['names of 40', 'chat.css', '#log li > div {\n  min-width: 0;', '#log li > div {\n  flex: none;'],
  ['names of 40', 'chat.css', 'max-width: calc(100vw - 40px);', 'white-space: nowrap;'],
  [
    'a name that is written',
    'chat.css',
    'bdi {\n  font-weight: 600;',
    'bdi {\n  unicode-bidi: normal;\n  font-weight: 600;',
  ],
  ['a name that is written', 'chat.js', "document.createElement('bdi')", "document.createElement('span')"],
  ['on a phone', 'chat.css', '#side-toggle {\n    display: block;', '#side-toggle {\n    display: none;'],
  ['on a phone', 'chat.css', 'aside {\n    display: none;', 'aside {\n    display: grid;'],
  ['on a phone', 'chat.css', 'min-height: 40px;', ''],
  ['on a phone', 'chat.css', 'font-size: 16px; /*', '/*'],
  ['on a phone', 'chat.js', "key !== 'Escape'", "key !== 'F2'"],
  ['on a phone', 'chat.js', "setAttribute('aria-expanded', isOpen)", "setAttribute('aria-expanded', false)"],
  ['the page is dark', 'chat.css', '@media (prefers-color-scheme: dark)', '@media (prefers-color-scheme: none)'],
  ['the page is dark', 'chat.css', '--paper: #1d202c;', ''],
  ['the page is dark', 'chat.css', 'color-scheme: light dark;', ''],
  ['empty lists', 'index.html', '<p id="no-messages" class="empty">', '<p id="no-messages" class="empty" hidden>'],
  ['empty lists', 'chat.js', "$('no-messages').hidden = true;", ''],
  ['empty lists', 'chat.js', "$('no-others').hidden = people.length > 1;", ''],
  ['empty lists', 'chat.js', "$('no-webhooks').hidden = true;", ''],
  ['without webhooks', 'index.html', 'None yet.', ''],
  ['without webhooks', 'index.html', '<p id="no-webhooks" class="empty">', '<p id="no-webhooks" class="empty" hidden>'],
  ['a lost connection', 'chat.js', "pusher.connection.bind('connecting_in', lose);", ''],
  ['a lost connection', 'chat.js', "if (state === 'connected') attempt = setTimeout(connectAgain, pause);", ''],
  ['a lost connection', 'chat.js', "show('connecting', NO_CONNECTION);", "show('connecting');"],
  ['a lost connection', 'chat.js', '      outbox.send();', ''],
  ['a lost connection', 'chat.js', 'if (!item || !this.isConnected()) break;', 'if (!item) break;'],
  ['a lost connection', 'chat.js', "if (!isFirst) addToLog('messages', clone('gap'));", ''],
  ['a lost connection', 'chat.js', 'outbox.arrived(message.text)', ''],
  ['a message that was sent', 'chat.js', '    outbox.lose();', ''],
  ['a message that cannot', 'chat.js', "this.#mark(item, 'failed',", "item.remove(); this.#mark(item, 'failed',"],
  ['a message that cannot', 'chat.js', "delivery ? delivery !== 'unknown' : status < 500", 'true'],
  ['a message that cannot', 'chat.js', "addEventListener('beforeunload'", "addEventListener('unused'"],
  ['a message that cannot', 'chat.js', "item.querySelector('.choice').hidden = state !== 'failed';", ''],
  ['a message that cannot', 'chat.js', "      $('text').focus();\n      this.#wait(item);", '      this.#wait(item);'],
  ['a message that cannot', 'chat.js', "      $('text').focus();\n      item.remove();", '      item.remove();'],
  [
    'a session that is over',
    'chat.js',
    "if (current === 'disconnected') end(CLOSED);",
    "if (current === 'disconnected') return;",
  ],
  ['a session that is over', 'chat.js', "$('reload').hidden = state !== 'disconnected';", ''],
  [
    'the page subscribes',
    'chat.js',
    'if (!members.subscribed || !room.subscribed) return;',
    'if (!room.subscribed && !members.subscribed) return;',
  ],
  ['the keyboard', 'chat.css', 'outline: 3px solid var(--accent-ink);', 'outline: none;'],
  ['the keyboard', 'chat.css', 'outline: 3px solid var(--accent-ink);', 'outline: 3px solid #b7b0f6;'],
  [
    'the keyboard',
    'index.html',
    'role="log" aria-label="Messages" tabindex="0"',
    'role="log" aria-label="Messages" tabindex="-1"',
  ],
  [
    'the keyboard',
    'index.html',
    '<button type="button" class="wave">Wave</button>',
    '<button type="button" class="wave" tabindex="-1">Wave</button>',
  ],
  ['the keyboard', 'chat.js', "  $('door').hidden = false;\n  $('name').focus();", "  $('door').hidden = false;"],
  [
    'the keyboard',
    'chat.js',
    "  $('me').textContent = $('me').title = user.name;\n  $('text').focus();",
    "  $('me').textContent = user.name;",
  ],
  ['Enter sends', 'chat.js', "    $('text').focus();\n    if (text.trim()", '    if (text.trim()'],
  ['Enter sends', 'chat.js', "if (text.trim() === '') return;", ''],
  ['Enter sends', 'chat.js', 'if (present.has(id)) {', 'if (present.get(id)?.remove()) {'],
  ['Enter sends', 'chat.js', "if (item.contains(document.activeElement)) $('text').focus();", ''],
  ['a refused name', 'chat.js', "$('name').setAttribute('aria-invalid', 'true');", ''],
  ['a refused name', 'chat.js', "    $('name').focus();\n  }\n  isAsking", '  }\n  isAsking'],
  ['a refused name', 'index.html', ' aria-describedby="name-error"', ''],
  ['a screen reader', 'index.html', 'role="log" ', ''],
  ['a screen reader', 'index.html', '<p id="notice" role="status">', '<p id="notice">'],
  ['a screen reader', 'chat.css', '#notice:empty {', '#notice:empty {\n  display: none;'],
  ['a screen reader', 'index.html', '<h2 class="unseen">Messages</h2>', ''],
  ['a screen reader', 'index.html', '<span class="face" aria-hidden="true">', '<span class="face">'],
  ['a screen reader', 'chat.js', "button.setAttribute('aria-label', `Wave to ${name}`);", ''],
  ['a screen reader', 'index.html', 'data:image/svg+xml,<svg', 'data:,<svg'],
  ['a screen reader', 'index.html', '<title>The room: a chat served by a C program', '<title>The room'],
  ['axe-core', 'chat.css', '--soft: #566076;', '--soft: #8a93a8;'],
  ['axe-core', 'chat.css', '--soft: #a6aec2;', '--soft: #566076;'],
  ['axe-core', 'chat.css', '--bad: #ff8d92;', ''],
  ['axe-core', 'index.html', '<label for="name">Your name</label>', '<p>Your name</p>'],
  ['axe-core', 'index.html', '<html lang="en">', '<html>'],
  ['a screen reader', 'index.html', 'aria-label="Your message"', ''],
  ['the pictures', 'chat.css', 'border-radius: 14px 14px 14px 4px;', 'border-radius: 14px;'],
  ['the pictures', 'index.html', '>Leave<', '>Go<'],
];

/** Runs the tests whose name begins so on a page, and returns whether they pass, and what they said. */
function run(name, folder) {
  const file = tests.find((path) => readFileSync(path, 'utf8').includes(`\ntest('${name}`));
  const args = ['--test', `--test-name-pattern=^${name}`, file];
  const env = { ...process.env, CHAT_PAGE: folder, CHAT_PATIENCE: '4000' };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ passes: code === 0, said }));
  });
}

const only = process.argv[2] ?? '';
let missed = 0;
for (const [name, file, from, to] of faults.filter(([name]) => name.startsWith(only))) {
  const folder = mkdtempSync(join(tmpdir(), 'libpusher-chat-'));
  cpSync(page, folder, { recursive: true });
  const path = join(folder, file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${file} does not have ${from}`);
  writeFileSync(path, after);
  const { passes, said } = await run(name, folder);
  rmSync(folder, { recursive: true });
  // A page that does not load at all, or a test that does not run, says nothing of the test.
  const ran = /^# (pass|fail) [1-9]/m.test(said) && !said.includes('Rig.start (');
  const fault = `${file}: ${JSON.stringify(from)} -> ${JSON.stringify(to)}`;
  const why = /error: (?:\|-\n\s*)?(.*)/.exec(said)?.[1];
  console.log(`${passes || !ran ? 'MISSED' : 'found'}  ${name}: ${fault}  ${why ?? ''}`);
  if (passes || !ran) missed++;
}
if (missed > 0) throw new Error(`${missed} faults are not found`);
