// Runs the C programs as a user would: the examples, and call.c, which calls any function of the library.

import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from '../tools/servers/subscriber.mjs';

const folder = process.env.PROGRAMS ?? fileURLToPath(new URL('../build/e2e', import.meta.url));

/** A command that runs each program, such as valgrind with its arguments. */
const wrapper = process.env.WRAPPER?.split(' ') ?? [];

/** Returns the command line of a program. */
const commandLine = (program, args) => {
  const [command, ...rest] = [...wrapper, join(folder, program), ...args];
  return [command, rest];
};

/** Returns the environment with this PUSHER_URL and without any other PUSHER_ variable. */
function environment(url) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PUSHER_'));
  return { ...Object.fromEntries(others), ...(url && { PUSHER_URL: url }) };
}

/** Runs a program with PUSHER_URL until it exits, and returns { code, stdout, stderr }. */
export function run(program, url, args, input = '') {
  const options = { env: environment(url), timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    const child = execFile(...commandLine(program, args), options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error?.code ?? 0, stdout, stderr });
    });
    // The program may exit without reading its input.
    child.stdin.on('error', () => {}).end(input);
  });
}

/** Runs `trigger`. */
export const trigger = (url, args, input) => run('trigger', url, args, input);

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A program that runs until it is stopped. */
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

  take() {}

  /** Waits for `promise`. Rejects if the program exits first, or at a timeout; the error then names `what()`. */
  async until(what, promise) {
    const ended = this.#ended.then((how) => {
      throw new Error(`${this.#name} ended: ${how} ${this.stderr}`);
    });
    return within(20_000, () => `${this.#name}: no ${what()} ${this.stderr}`, Promise.race([promise, ended]));
  }

  /** Stops the program as a user would, and returns its exit code. */
  async stop() {
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
    const code = await within(10_000, () => `${this.#name} does not exit`, this.#ended);
    running.delete(this.#child);
    return code;
  }
}

/** Starts an example that runs until it is stopped. */
export const start = (name, url, args) => new Program(name, url, args);

/** An example that listens at `address`; `lines` holds the lines that it has printed since. */
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

  /** Returns the events that `webhook` has printed and that match `wanted`. */
  events(wanted = {}) {
    const matches = (event) => Object.entries(wanted).every(([key, value]) => event[key] === value);
    return this.lines.map((line) => JSON.parse(line)).filter(matches);
  }

  /** Waits until `webhook` has printed an event that matches `wanted`, and returns it. */
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

/** A client of the library in another process. */
export class Client extends Program {
  #answers = [];

  /** @param config a URL or an object */
  constructor(config) {
    super('call', null, [typeof config === 'string' ? config : JSON.stringify(config)]);
  }

  take(line) {
    this.#answers.shift()(line);
  }

  /** Calls a function, and returns { status, delivery, document }. Serializes arguments that are not strings as JSON. */
  async call(name, ...args) {
    const texts = args.map((value) => (value === null || typeof value === 'string' ? value : JSON.stringify(value)));
    const answer = new Promise((resolve) => {
      this.#answers.push(resolve);
    });
    this.write(`${JSON.stringify([name, ...texts])}\n`);
    const { status, delivery, document } = JSON.parse(await this.until(() => `result of ${name}`, answer));
    return { status, delivery: deliveries[delivery], document };
  }

  /** Calls a function that must succeed, and returns its document. */
  async ok(name, ...args) {
    const answer = await this.call(name, ...args);
    if (answer.status !== 'OK') throw new Error(`${name}: ${JSON.stringify(answer)}`);
    return answer.document;
  }
}
