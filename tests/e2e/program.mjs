// Runs the C program `trigger`, as a user would.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = process.env.TRIGGER ?? fileURLToPath(new URL('../../build/e2e/trigger', import.meta.url));

/** Runs it with PUSHER_URL and without any other PUSHER_ variable, and returns { code, stdout, stderr }. */
export function trigger(url, args, input = '') {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PUSHER_'));
  const env = { ...Object.fromEntries(others), ...(url && { PUSHER_URL: url }) };
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error?.code ?? 0, stdout, stderr });
    });
    // It need not read what it is given.
    child.stdin.on('error', () => {}).end(input);
  });
}
