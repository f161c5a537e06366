// Runs the C programs, as a user would: the examples, and call.c, through which every function can be called.

import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from '../tools/servers/subscriber.mjs';

const folder = process.env.PROGRAMS ?? fileURLToPath(new URL('../build/e2e', import.meta.url));

/** A command and its arguments in front of each program: valgrind's. */
const wrapper = process.env.WRAPPER?.split(' ') ?? [];

/** What to run for a program. */
const commandLine = (program, args) => {
  const [command, ...rest] = [...wrapper, join(folder, program), ...args];
  return [command, rest];
};

/** The environment without PUSHER_ variables, but for the one that is given. */
function environment(url) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PUSHER_'));
  return { ...Object.fromEntries(others), ...(url && { PUSHER_URL: url }) };
}

/** Runs a program to its end with PUSHER_URL, and returns { code, stdout, stderr }. */
export function run(program, url, args, input = '') {
  const options = { env: environment(url), timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    const child = execFile(...commandLine(program, args), options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error?.code ?? 0, stdout, stderr });
    });
    // It need not read what it is given.
    child.stdin.on('error', () => {}).end(input);
  });
}

/** Runs `trigger`. */
export const trigger = (url, args, input) => run('trigger', url, args, input);

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A program that stays. */
class Program {
  stderr = '';
  #child;
  #ended;
  #name;

  constructor(name, url, args) {
    this.#name = name;
    this.#child = spawn(...commandLine(name, args), { env: environment(url), stdio: 'pipe' });
    running.add(this.#child);
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(code ?? signal));
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.take(line));
  }

  write(text) {
    this.#child.stdin.write(text);
  }

  /** Rejects if it ends, or doesn't do `what` in time. */
  async until(what, promise) {
    const ended = this.#ended.then((how) => {
      throw new Error(`${this.#name} ended: ${how} ${this.stderr}`);
    });
    return within(20_000, () => `${this.#name}: no ${what()} ${this.stderr}`, Promise.race([promise, ended]));
  }

  /** Ends it as a user would, and returns its exit code. */
  async stop() {
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
    const code = await within(10_000, () => `${this.#name} does not end`, this.#ended);
    running.delete(this.#child);
    return code;
  }
}

/** One of the examples that listen: `address` is where, `lines` what it has printed since. */
export class Listener extends Program {
  lines = [];
  #arrived = () => {};
  #waiting = new Set();

  static async start(name, url, args) {
    const program = new Listener(name, url, ['--port', '0', ...args]);
    program.address = await program.until(
      () => 'address',
      new Promise((resolve) => {
        program.#arrived = resolve;
      }),
    );
    return program;
  }

  take(line) {
    const address = /^listening on (http:.*)$/.exec(line);
    if (address) {
      this.#arrived(address[1]);
    } else {
      this.lines.push(line);
      this.#waiting.forEach((check) => check());
    }
  }

  /** The events that `webhook` has printed, and that `wanted` fits. */
  events(wanted = {}) {
    const fits = (event) => Object.entries(wanted).every(([key, value]) => event[key] === value);
    return this.lines.map((line) => JSON.parse(line)).filter(fits);
  }

  /** Waits until `webhook` has printed an event that `wanted` fits, and returns it. */
  async event(wanted) {
    let check;
    const arrived = new Promise((resolve) => {
      check = () => {
        const [event] = this.events(wanted);
        if (event) resolve(event);
      };
      this.#waiting.add(check);
      check();
    });
    const missing = () => `event ${JSON.stringify(wanted)} among ${this.lines.join(' ')}`;
    try {
      return await this.until(missing, arrived);
    } finally {
      this.#waiting.delete(check);
    }
  }
}

const deliveries = [undefined, 'not_sent', 'rejected', 'unknown', 'delivered'];

/** A client of the library, whose functions can be called. */
export class Client extends Program {
  #answers = [];

  /** @param config a URL or an object */
  constructor(config) {
    super('call', null, [typeof config === 'string' ? config : JSON.stringify(config)]);
  }

  take(line) {
    this.#answers.shift()(line);
  }

  /** Calls a function, and returns { status, delivery, document }; arguments that are no texts are made JSON of. */
  async call(name, ...args) {
    const texts = args.map((value) => (value === null || typeof value === 'string' ? value : JSON.stringify(value)));
    const answer = new Promise((resolve) => {
      this.#answers.push(resolve);
    });
    this.write(`${JSON.stringify([name, ...texts])}\n`);
    const { status, delivery, document } = JSON.parse(await this.until(() => `answer to ${name}`, answer));
    return { status, delivery: deliveries[delivery], document };
  }

  /** The same for a call that has to succeed: returns its document. */
  async ok(name, ...args) {
    const answer = await this.call(name, ...args);
    if (answer.status !== 'OK') throw new Error(`${name}: ${JSON.stringify(answer)}`);
    return answer.document;
  }
}
