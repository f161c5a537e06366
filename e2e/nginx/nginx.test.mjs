// Tests the library with real servers behind nginx, which listens on a Unix domain socket and, with TLS and a required client
// certificate, on a port.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { app, names, showing, start } from '../../tools/servers/servers.mjs';
import { Subscriber, within } from '../../tools/servers/subscriber.mjs';
import { Client } from '../program.mjs';

const timeout = 60_000;
const HOST = 'channels.test';

/** Makes an authority, a certificate of it for HOST and one for a client; an authority of others and a client's certificate. */
function makeCertificates(folder) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const keys = {
    P256: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    RSA: ['-newkey', 'rsa:2048'],
  };
  const authority = (name) =>
    openssl(
      'req',
      '-x509',
      ...keys.P256,
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
    );
  const certificate = (name, kind, extensions, by) => {
    writeFileSync(join(folder, `${name}.ext`), `basicConstraints=CA:FALSE\n${extensions}\n`);
    openssl('req', ...keys[kind], '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const signed = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
  };
  authority('ca');
  authority('stranger');
  certificate('server', 'P256', `subjectAltName=DNS:${HOST},IP:127.0.0.1`, 'ca');
  certificate('client', 'RSA', 'extendedKeyUsage=clientAuth', 'ca');
  certificate('strange-client', 'P256', 'extendedKeyUsage=clientAuth', 'stranger');
}

async function freePort() {
  const listener = createServer();
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

/** nginx before a server, until stop(). */
class Nginx {
  log = '';
  #child;

  static async start(folder, upstream) {
    const nginx = new Nginx();
    nginx.folder = folder;
    nginx.port = await freePort();
    nginx.socket = join(folder, 'plain.sock');
    nginx.tlsSocket = join(folder, 'tls.sock');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`);
    const location = `location / {
        proxy_pass http://127.0.0.1:${upstream};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Connection "";
      }`;
    const tls = `ssl_certificate server.pem;
      ssl_certificate_key server.key;
      ssl_client_certificate ca.pem;
      ssl_protocols TLSv1.2 TLSv1.3;`;
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off;
  pid nginx.pid;
  error_log stderr notice;
  events {}
  http {
    log_format seen "$host $status $ssl_client_s_dn $ssl_protocol $ssl_session_reused";
    access_log access.log seen;
    ${temporary.join('\n    ')}
    server {
      listen unix:${nginx.socket};
      ${location}
    }
    server {
      listen unix:${nginx.tlsSocket} ssl;
      listen 127.0.0.1:${nginx.port} ssl;
      ${tls}
      ssl_verify_client on;
      keepalive_requests 2;
      ${location}
    }
  }
`,
    );
    nginx.#child = spawn('/usr/sbin/nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const started = new Promise((resolve, reject) => {
      nginx.#child.stderr.setEncoding('utf8').on('data', (text) => {
        nginx.log += text;
        if (nginx.log.includes('start worker process ')) resolve();
      });
      nginx.#child.once('error', reject);
      nginx.#child.once('exit', () => reject(new Error(nginx.log)));
    });
    await within(10_000, () => `nginx does not start: ${nginx.log}`, started);
    return nginx;
  }

  /** Waits until nginx has logged a request that matches. It logs after the response. */
  async logged(pattern) {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const text = readFileSync(join(this.folder, 'access.log'), 'utf8');
      if (pattern.test(text)) return;
      if (Date.now() > deadline) throw new Error(`no request matches ${pattern}:\n${text}`);
      await sleep(20);
    }
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await within(10_000, () => 'nginx does not exit', ended);
  }
}

for (const name of names) {
  // nginx.sh sets it to the reason why the server is missing, if it may be missing.
  const skip = process.env[`SKIP_${name.toUpperCase()}`] || false;

  describe(`${name} behind nginx`, { skip }, () => {
    // The path of a socket must be short.
    const folder = mkdtempSync(join(tmpdir(), 'libpusher-nginx-'));
    const file = (name) => join(folder, name);
    let server;
    let nginx;
    let subscriber;

    before(
      async () => {
        makeCertificates(folder);
        server = await start(name);
        nginx = await Nginx.start(folder, server.port);
        subscriber = await Subscriber.connect(server, ['news']);
      },
      { timeout },
    );

    after(async () => {
      await subscriber?.close();
      await nginx?.stop();
      await server?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    /** Creates a client, passes it to `body`, and stops it. */
    async function client(config, body) {
      const more = { retry: { mode: 'never' }, ...config };
      const made = new Client({ app_id: app.id, key: app.key, secret: app.secret, ...more });
      try {
        await showing(server, () => body(made));
      } finally {
        await made.stop();
      }
    }

    /** Publishes `count` events, which the subscriber must receive. */
    async function publishes(made, event, count = 1) {
      for (let i = 0; i < count; i++) await made.ok('trigger', 'news', event, i, null);
      const got = await subscriber.wait(event, count);
      assert.deepEqual(
        got.map(({ value }) => value),
        Array.from({ length: count }, (_, i) => i),
      );
    }

    const tls = () => ({ host: '127.0.0.1', port: nginx.port, ca_file: file('ca.pem') });
    const identity = (name) => ({ client_certificate_file: file(`${name}.pem`), client_key_file: file(`${name}.key`) });

    it('takes events through a Unix domain socket', { timeout }, async () => {
      await client({ unix_socket: nginx.socket }, async (made) => {
        await publishes(made, 'by-socket', 3);
        const { status } = await made.call('channel_info', 'news', null, null);
        assert.equal(status, 'OK');
      });
    });

    it('takes events from a client with a certificate', { timeout }, async () => {
      // nginx closes each connection after its second request. The next one resumes the TLS session.
      await client({ ...tls(), ...identity('client') }, (made) => publishes(made, 'by-certificate', 5));
      await nginx.logged(/^127\.0\.0\.1 200 CN=client TLSv1\.3 \.$/m);
      await nginx.logged(/^127\.0\.0\.1 200 CN=client TLSv1\.3 r$/m);
      await client({ ...tls(), ca_file: undefined, extra_ca_file: file('ca.pem'), ...identity('client') }, (made) =>
        publishes(made, 'by-extra-ca'),
      );
    });

    it(
      'takes events through a Unix domain socket with TLS, whose certificate names the host',
      { timeout },
      async () => {
        const config = { unix_socket: nginx.tlsSocket, ssl: true, ca_file: file('ca.pem'), ...identity('client') };
        await client({ ...config, host: HOST }, (made) => publishes(made, 'by-tls-socket'));
        await client({ ...config, host: 'other.test' }, async (made) => {
          const { status, document } = await made.call('trigger', 'news', 'never', '1', null);
          assert.equal(status, 'NOT_SENT');
          assert.match(document.error.message, /not valid for name "other\.test".*channels\.test/);
        });
      },
    );

    it('is not reached without the right certificate of the client', { timeout }, async () => {
      for (const [config, says] of [
        [tls(), /No required SSL certificate was sent/],
        [{ ...tls(), ...identity('strange-client') }, /The SSL certificate error/],
      ]) {
        await client(config, async (made) => {
          const { status, delivery, document } = await made.call('trigger', 'news', 'never', '1', null);
          assert.deepEqual([status, delivery], ['BAD_REQUEST', 'rejected']);
          assert.match(document.error.response, says);
        });
      }
      assert.equal(subscriber.of('never').length, 0);
    });

    it('is reported as down when nginx cannot reach it, or is down itself', { timeout }, async () => {
      await client({ unix_socket: join(folder, 'none.sock') }, async (made) => {
        const { status, delivery, document } = await made.call('trigger', 'news', 'never', '1', null);
        assert.deepEqual([status, delivery, document.error.cause], ['NOT_SENT', 'not_sent', 'connect']);
        assert.match(document.error.message, /none\.sock/);
      });
      await server.stop();
      await client({ unix_socket: nginx.socket }, async (made) => {
        const { status, delivery, document } = await made.call('trigger', 'news', 'never', '1', null);
        assert.deepEqual([status, delivery, document.error.http_status], ['SERVER_ERROR', 'unknown', 502]);
      });
    });
  });
}
