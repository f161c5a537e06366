// The pictures of pages in the documentation, docs/pictures/NAME.png. Beside each one is NAME.txt, the structure of the page in the
// picture: its elements and texts, and the style rules that apply to them. A test makes the page again and compares the structure,
// because pixels differ between versions of a browser. PUSHER_WRITE_PICTURES=1 takes the pictures instead.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const pictures = new URL('../docs/pictures/', import.meta.url);
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

/**
 * Checks that the picture `name` of the window still shows this page, or takes a stale one.
 *
 * @param {string[]} options.volatile selectors of elements whose text differs from run to run, such as times
 * @param {boolean} options.take       takes the picture if it is stale
 */
export async function picture(page, name, options = {}) {
  const { volatile = [], folder = pictures, take = process.env.PUSHER_WRITE_PICTURES === '1' } = options;
  const image = new URL(`${name}.png`, folder);
  const file = new URL(`${name}.txt`, folder);
  await page.evaluate(() => document.fonts.ready);
  const found = await structure(page, volatile);
  const why = staleness(image, file, name, found);
  if (why === null) return;
  if (!take) {
    throw new Error(`docs/pictures/${name}.png is stale: PUSHER_WRITE_PICTURES=1 takes it again.\n${why}`);
  }
  const bytes = await page.screenshot({ animations: 'disabled' });
  mkdirSync(folder, { recursive: true });
  writeFileSync(image, bytes);
  writeFileSync(file, `${name}.png ${digest(bytes)}\n${found}`);
}

/** Returns why the picture is not one of the page with the structure `found`, null if it is. */
function staleness(image, file, name, found) {
  let bytes, text;
  try {
    bytes = readFileSync(image);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return error.message;
  }
  const [first, ...rest] = text.split('\n');
  if (first !== `${name}.png ${digest(bytes)}`) return `${name}.txt belongs to another picture.`;
  const taken = rest.join('\n');
  return taken === found ? null : differences(taken.split('\n'), found.split('\n')).join('\n');
}

/** Returns the lines that only one of both has, up to a limit that keeps a message readable. */
function differences(before, after) {
  const only = (lines, others, sign) => lines.filter((line) => !others.includes(line)).map((line) => `${sign} ${line}`);
  const lines = [...only(before, after, '-'), ...only(after, before, '+')];
  if (lines.length === 0) return ['The same lines are there in another order or number.'];
  return lines.length > 40 ? [...lines.slice(0, 40), `and ${lines.length - 40} more lines`] : lines;
}

async function structure(page, volatile) {
  const { width, height } = page.viewportSize();
  const { lines, rules, images } = await page.evaluate(inspect, volatile);
  for (const address of images) {
    const bytes = address.startsWith('file:')
      ? readFileSync(fileURLToPath(address))
      : address.startsWith('data:')
        ? address
        : await (await page.context().request.get(address)).body();
    lines.push(
      `image ${address.startsWith('data:') ? 'data' : new URL(address).pathname.split('/').pop()} ${digest(bytes)}`,
    );
  }
  return `window ${width} x ${height}\n\n${lines.join('\n')}\n\n${rules.join('\n')}\n`;
}

/** Runs in the page. Returns the visible elements, one to a line, the style rules that apply to them, and their images. */
function inspect(volatile) {
  const lines = [];
  const images = new Set();
  const shown = new Set();

  function visit(element, depth) {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return;
    const { top, bottom, left, right } = element.getBoundingClientRect();
    const isInWindow =
      bottom > top && right > left && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
    if (isInWindow) {
      shown.add(element);
      lines.push('  '.repeat(depth) + describe(element));
      if (element.currentSrc) images.add(element.currentSrc);
    }
    if (element instanceof SVGElement) return;
    for (const child of element.children) visit(child, depth + isInWindow);
  }

  function describe(element) {
    const name = [element.localName, element.id && `#${element.id}`, ...[...element.classList].map((one) => `.${one}`)];
    if (element instanceof SVGElement) return element.outerHTML.replace(/\s+/g, ' ');
    const isVolatile = volatile.some((selector) => element.matches(selector));
    const own = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE).map(({ data }) => data);
    const text = own.join(' ').replace(/\s+/g, ' ').trim();
    const more = ['placeholder', 'alt', 'style', 'data-state']
      .filter((attribute) => element.getAttribute(attribute))
      .map((attribute) => `${attribute}=${JSON.stringify(element.getAttribute(attribute))}`);
    if (element.value && element.localName === 'input') more.push(`value=${JSON.stringify(element.value)}`);
    if (element === document.activeElement && element !== document.body) more.push('has the focus');
    return [name.join(''), ...more, text && JSON.stringify(isVolatile ? '…' : text)].filter(Boolean).join(' ');
  }

  /** Adds the rules that apply to an element in the picture. A pseudo-element counts as its element. */
  function collect(list, into) {
    for (const rule of list) {
      if (rule.styleSheet) collect(rule.styleSheet.cssRules, into);
      else if (rule.selectorText) {
        const elements = rule.selectorText.replace(/::[\w-]+(\([^)]*\))?/g, '').replace(/(^|,)\s*(?=,|$)/g, '$1*');
        let applies = true; // if the selector has a part that cannot be asked for
        try {
          applies = [...document.querySelectorAll(elements)].some((element) => shown.has(element));
        } catch {}
        if (applies) into.push(rule.cssText.replace(/\s+/g, ' '));
      } else if (rule.cssRules) {
        const asks = rule instanceof CSSMediaRule ? matchMedia(rule.conditionText).matches : true;
        if (asks && !(rule instanceof CSSKeyframesRule)) collect(rule.cssRules, into);
      }
    }
    return into;
  }

  visit(document.body, 0);
  shown.add(document.documentElement);
  const rules = [...document.styleSheets].flatMap((sheet) =>
    sheet.disabled || (sheet.media.mediaText && !matchMedia(sheet.media.mediaText).matches)
      ? []
      : collect(sheet.cssRules, []),
  );
  return { lines, rules, images: [...images] };
}
