// Certificates that are renewed on disk, in the ways in which tools do that, while the tunnel serves.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { fastTunnel } from 'fasttunnel';
import { certificate, expired } from './support/certificates.mjs';
import { withFolder } from './support/folders.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { exposuresFor, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, sleep, until } from './support/tunnels.mjs';

const [ONE, TWO, THREE] = ['one', 'two', 'three'].map((name) => certificate({ name }).pem);
const INTERVAL_MS = 20;
const SETTLED_MS = 6 * INTERVAL_MS;

/** Whose certificate a new connection is shown. */
async function shown(port) {
  const socket = tls.connect({ port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

const becomes = (port, subject) => until(async () => (await shown(port)) === subject, `the certificate is that of ${subject}`);

const write = (file, { cert, key }) => {
  writeFileSync(file('cert.pem'), cert);
  writeFileSync(file('key.pem'), key);
};

/** A tunnel that looks at `cert.pem` and `key.pem` of a folder. */
async function withWatch(body, prepare = (file) => write(file, ONE), options = {}) {
  await withFolder(async (file, folder) => {
    prepare(file, folder);
    const errors = [];
    const tunnel = await fastTunnel({
      auth: { allowAnonymous: true }, tasks: { echo: (input) => input }, onError: (error, origin) => errors.push([error, origin]),
      tls: { cert: file('cert.pem'), key: file('key.pem'), watch: { intervalMs: INTERVAL_MS } }, ...options,
    });
    try {
      await body({ tunnel, file, folder, errors });
    } finally {
      await tunnel.close();
    }
  });
}

describe('watched certificates', () => {
  it('are taken when they are written in place', () => withWatch(async ({ tunnel, file, errors }) => {
    assert.equal(await shown(tunnel.port), 'one');
    write(file, TWO);
    await becomes(tunnel.port, 'two');
    // Both files in one, and the key first.
    writeFileSync(file('key.pem'), THREE.key);
    writeFileSync(file('cert.pem'), THREE.cert);
    await becomes(tunnel.port, 'three');
    assert.ok(errors.every(([error]) => /does not fit/.test(error.message)), String(errors));
  }));

  it('are taken when other files are renamed to them', () => withWatch(async ({ tunnel, file, errors }) => {
    for (const part of ['cert', 'key']) writeFileSync(file(`new-${part}.pem`), TWO[part]);
    for (const part of ['cert', 'key']) renameSync(file(`new-${part}.pem`), file(`${part}.pem`));
    await becomes(tunnel.port, 'two');
    assert.ok(errors.length <= 1);
  }));

  it('are taken when links lead elsewhere, one after the other, as certbot does it', () => withWatch(async ({ tunnel, file }) => {
    for (const part of ['cert', 'key']) {
      symlinkSync(file(`archive/${part}2.pem`), file('link'));
      renameSync(file('link'), file(`${part}.pem`));
    }
    await becomes(tunnel.port, 'two');
  }, (file) => {
    mkdirSync(file('archive'));
    for (const [number, pair] of [[1, ONE], [2, TWO]]) {
      for (const part of ['cert', 'key']) {
        writeFileSync(file(`archive/${part}${number}.pem`), pair[part]);
        if (number === 1) symlinkSync(file(`archive/${part}1.pem`), file(`${part}.pem`));
      }
    }
  }));

  it('are taken when the folder is another, as Kubernetes does it', () => withWatch(async ({ tunnel, file, errors }) => {
    symlinkSync(file('second'), file('..new'));
    renameSync(file('..new'), file('..data'));
    await becomes(tunnel.port, 'two');
    assert.deepEqual(errors, []);
  }, (file) => {
    for (const [name, pair] of [['first', ONE], ['second', TWO]]) {
      mkdirSync(file(name));
      for (const part of ['cert', 'key']) writeFileSync(file(`${name}/${part}.pem`), pair[part]);
    }
    symlinkSync(file('first'), file('..data'));
    for (const part of ['cert', 'key']) symlinkSync(file(`..data/${part}.pem`), file(`${part}.pem`));
  }));

  it('are kept when what is there is no good, of which onError hears once', () => withWatch(async ({ tunnel, file, errors }) => {
    for (const [what, cert, message] of [
      ['half of it', TWO.cert.slice(0, 300), /tls\.cert must hold a certificate/],
      ['another key', TWO.cert, /tls\.key does not fit/],
      ['expired', undefined, /tls\.cert has expired/],
    ]) {
      const pair = cert === undefined ? expired() : { ...ONE, cert };
      write(file, pair);
      const [error, origin] = await until(() => errors.pop(), `${what} is told`);
      assert.equal(error.name, 'OptionError');
      assert.match(error.message, message);
      assert.deepEqual([origin.kind, origin.id], ['task', '(tls)']);
      await sleep(SETTLED_MS);
      assert.deepEqual([errors.length, await shown(tunnel.port)], [0, 'one'], what);
    }
    write(file, ONE);
    await sleep(SETTLED_MS);
    rmSync(file('key.pem'));
    const [gone] = await until(() => errors.pop(), 'a file that is gone is told');
    assert.match(gone.message, /cannot be read \(ENOENT\)/);
    write(file, TWO);
    await becomes(tunnel.port, 'two');
  }));

  it('are no longer watched once setTls gives others, nor behind close', () => withWatch(async ({ tunnel, file }) => {
    tunnel.setTls(THREE);
    write(file, TWO);
    await sleep(SETTLED_MS);
    assert.equal(await shown(tunnel.port), 'three');
    tunnel.setTls({ cert: file('cert.pem'), key: file('key.pem'), watch: { intervalMs: INTERVAL_MS } });
    assert.equal(await shown(tunnel.port), 'two');
    write(file, ONE);
    await becomes(tunnel.port, 'one');
  }));

  it('may be those of the admin listener alone', () => withFolder(async (file) => {
    const own = (name) => file(`admin-${name}`);
    write(own, TWO);
    const admin = { tls: { cert: own('cert.pem'), key: own('key.pem'), watch: { intervalMs: INTERVAL_MS } } };
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, tls: ONE, admin });
    assert.match(tunnel.admin.url, /^https:/);
    assert.deepEqual([await shown(tunnel.port), await shown(tunnel.admin.port)], ['one', 'two']);
    write(own, THREE);
    await becomes(tunnel.admin.port, 'three');
    assert.equal(await shown(tunnel.port), 'one');
    await tunnel.close();
  }));
});

onBothDrivers('certificates that change under load', (driver) => {
  it('no call fails, and no connection ends', () => withWatch(async ({ tunnel, file }) => {
    const idle = tls.connect({ port: tunnel.port, host: tunnel.host, rejectUnauthorized: false });
    await once(idle, 'secureConnect');
    const kept = new RawSocket(idle);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 2 });
    const [seen, load] = [new Set(), []];
    let [stop, calls] = [false, 0];
    for (const own of [false, agent, false, agent]) {
      load.push((async () => {
        while (!stop) {
          seen.add(await new Promise((resolve, reject) => {
            const request = https.request(`${tunnel.url}/task/echo`, { method: 'POST', agent: own, rejectUnauthorized: false, headers: { 'content-type': 'application/json' } }, (answer) => {
              const name = answer.socket.getPeerCertificate().subject?.CN;
              answer.resume().on('end', () => (answer.statusCode === 200 ? resolve(name) : reject(new Error(`status ${answer.statusCode}`)))).on('error', reject);
            });
            request.on('error', reject).end('{"input":1}');
          }));
          calls += 1;
        }
      })());
    }
    for (const [subject, pair] of [['two', TWO], ['three', THREE], ['one', ONE]]) {
      write(file, pair);
      await becomes(tunnel.port, subject);
      const before = calls;
      await until(() => calls > before + 5, 'calls go on');
      await kept.write(taskBytes('echo', subject));
      assert.equal((await kept.answer()).status, 200);
    }
    stop = true;
    await Promise.all(load);
    agent.destroy();
    kept.destroy();
    assert.deepEqual([...seen].filter(Boolean).sort(), ['one', 'three', 'two']);
  }, undefined, { driver }));
});

describe('watched certificates in Runner', () => {
  it('are taken as well', () => withFolder(async (file) => {
    write(file, ONE);
    const listen = { port: 0, tls: { cert: file('cert.pem'), key: file('key.pem'), watch: { intervalMs: INTERVAL_MS } } };
    await withApp(exposuresFor('epoll').fastTunnel, { http: { listen } }, async ({ port }) => {
      write(file, TWO);
      await becomes(port, 'two');
    });
  }));
});
