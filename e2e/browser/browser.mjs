// Headless Chromium for the tests of pages. scripts/lib.sh (browser) sets CHROMIUM, PLAYWRIGHT and AXE.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT);

export const schemes = ['light', 'dark'];

/** Starts Chromium. Its sandbox does not work for root; the browser only loads our own pages. */
export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });

/** Returns the size of a window of this width: of a desktop, or of a phone if it is narrow. */
export const size = (width) => ({ width, height: width < 600 ? 780 : 720 });

/** Returns the options of a context with such a window. Its pictures are sharp; a `deviceScaleFactor` of 1 is faster. */
export const display = (width, colorScheme = 'light') => ({
  viewport: size(width),
  deviceScaleFactor: width < 600 ? 2 : 1.5,
  colorScheme,
  locale: 'en-GB',
  reducedMotion: 'reduce',
});

let axe;

/** Returns what axe-core finds wrong with the page as it is now, one string for each element. */
export async function violations(page) {
  axe ??= readFileSync(join(process.env.AXE, 'axe.min.js'), 'utf8');
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const rules = { 'target-size': { enabled: true } };
    const { violations } = await globalThis.axe.run(document, { rules, resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary.replaceAll('\n', ' ')}`),
    );
  });
}

/** Returns by how many pixels the page is wider than its window. */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
