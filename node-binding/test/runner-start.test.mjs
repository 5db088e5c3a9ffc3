// Failure to start is clear, and what starts is what nodeExposure would have been.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastTunnel } from 'fasttunnel/runner';
import { call, exposuresFor, post, QUIET, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { probe } from './support/probes.mjs';
import { onBothDrivers, until } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { globals, r } = R;
const add = r.task('app.tasks.add').run(async ({ a, b }) => a + b).build();
const starting = (config) => R.run(r.resource('app').register([fastTunnel.with(config)]).build(), QUIET);
const listen = { port: 0 };

describe('starting', () => {
  const refused = {
    'no port': [{ http: { listen: {} } }, /http\.listen\.port is missing.*port 0 takes any free one/],
    'a port out of range': [{ http: { listen: { port: 70_000 } } }, /http\.listen\.port must be an integer from 0 to 65535.*got 70000/],
    'a port in words': [{ http: { listen: { port: '80' } } }, /http\.listen\.port .* Number\('80'\)/],
    'a server that is none': [{ http: { server: {} } }, /http\.server must be an http\.Server, got \{\}\. Pass what http\.createServer\(\) has returned/],
    'an address for a server': [{ http: { server: 7070 } }, /http\.server must be an http\.Server, got 7070/],
    'an unknown key': [{ http: { listen, basepath: '/x' } }, /http\.basepath is not an option\. Did you mean http\.basePath\?/],
    'listen at the top': [{ listen }, /Did you mean http\.listen\?/],
    'an empty token in a list': [{ http: { listen, auth: { token: ['a', ''] } } }, /http\.auth\.token\[1\] must not be empty/],
    'a token that is no string': [{ http: { listen, auth: { token: 7 } } }, /http\.auth\.token must be a string, not number.*environment variable/],
    'a header name with a blank': [{ http: { listen, auth: { header: 'x y', token: 't' } } }, /http\.auth\.header must be the name of a request header/],
    'a base path with a query': [{ http: { listen, basePath: '/a?b' } }, /http\.basePath must be a path/],
    'a base path with dots': [{ http: { listen, basePath: '/a/../b' } }, /http\.basePath must not contain '\.' or '\.\.'/],
    'a CORS origin of a wrong type': [{ http: { listen, cors: { origin: 42 } } }, /http\.cors\.origin must be an origin.*a list, a RegExp, a function/],
    'a CORS origin with a line break': [{ http: { listen, cors: { origin: 'https://a\r\nx: y' } } }, /http\.cors\.origin must consist of characters that a header can carry/],
    'a CORS method with a blank': [{ http: { listen, cors: { methods: ['GET POST'] } } }, /http\.cors\.methods\[0\] must be an HTTP method/],
    'a CORS list that is none': [{ http: { listen, cors: { exposedHeaders: 'x-a' } } }, /http\.cors\.exposedHeaders must be an array.*\['x-a'\]/],
    'a negative maxAge': [{ http: { listen, cors: { maxAge: -1 } } }, /http\.cors\.maxAge must be an integer/],
    'a body limit in words': [{ http: { listen, limits: { json: { maxSize: '1mb' } } } }, /http\.limits\.json\.maxSize must be a number of bytes/],
    'an admin port too high': [{ http: { listen }, engine: { admin: { port: -1 } } }, /engine\.admin\.port must be/],
    'signals of its own': [{ http: { listen }, engine: { gracefulSignals: true } }, /shutdownHooks/],
    'an unknown driver': [{ http: { listen }, engine: { driver: 'uring' } }, /engine\.driver must be one of/],
  };
  for (const [what, [config, message]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.rejects(starting(config), (error) => {
      assert.equal(error.code, 'FASTTUNNEL_BAD_OPTION');
      assert.match(error.message, message);
      return true;
    }));
  }

  it('never prints tokens', () => assert.rejects(starting({ http: { listen, auth: { tokn: 's3cret' } } }), (error) => !error.message.includes('s3cret') && !String(error.value).includes('s3cret')));

  it('says that the port is taken, and leaves nothing behind', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => taken.once('listening', resolve));
      const { port } = taken.address();
      await assert.rejects(starting({ http: { listen: { port } } }), { name: 'ListenError', code: 'EADDRINUSE', message: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE\\. Something listens there already`) });
    } finally {
      taken.close();
    }
  });

  /** Runs a script in a folder that has fasttunnel, and perhaps another Runner. */
  const elsewhere = (script, { runner } = {}) => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-'));
    try {
      const modules = join(folder, 'node_modules');
      mkdirSync(join(modules, 'fasttunnel'), { recursive: true });
      const home = fileURLToPath(new URL('..', import.meta.url));
      for (const part of ['dist', 'native', 'package.json']) cpSync(join(home, part), join(modules, 'fasttunnel', part), { recursive: true });
      if (runner) {
        for (const name of readdirSync(join(home, 'node_modules'))) {
          if (!name.startsWith('.') && name !== '@bluelibs') symlinkSync(join(home, 'node_modules', name), join(modules, name));
        }
        // A copy, not a link: the same file would be the same module.
        for (const part of ['package.json', 'dist/node/node.cjs']) cpSync(join(home, 'node_modules/@bluelibs/runner', part), join(modules, '@bluelibs/runner', part));
      }
      return execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it('without the peer: importing is fine, using says what to install', () => {
    const out = elsewhere(`
      import { fastTunnel } from 'fasttunnel/runner';
      import { fastTunnel as standalone } from 'fasttunnel';
      try { fastTunnel.with({}); } catch (error) { console.log(typeof standalone, error.code, error.message); }`);
    assert.match(out, /^function FASTTUNNEL_RUNNER_MISSING .* not installed\. Run: npm install @bluelibs\/runner@\^5\.5\.0/);
  });

  it('serves an app that runs on another copy of the peer than the one found from here', () => {
    const out = elsewhere(`
      import { createRequire } from 'node:module';
      const R = createRequire(${JSON.stringify(import.meta.url)})('@bluelibs/runner/node');
      const { fastTunnel } = createRequire(process.cwd() + '/x.js')('fasttunnel/runner');
      const who = R.r.task('app.who').run(async () => R.useExposureContext().method).build();
      const tunnel = R.r.resource('app.tunnel').tags([R.globals.tags.tunnel]).init(async () => ({ mode: 'server', tasks: [who] })).build();
      const app = R.r.resource('app').register([who, tunnel, fastTunnel.with({ http: { listen: { port: 0 }, auth: { allowAnonymous: true } } })]).dependencies({ fastTunnel }).init(async (_c, d) => d.fastTunnel).build();
      const runtime = await R.run(app, { logs: { printThreshold: null } });
      console.log(await (await fetch(runtime.value.url + '/task/app.who', { method: 'POST' })).text());
      await runtime.dispose();`, { runner: true });
    assert.equal(out, '{"ok":true,"result":"POST"}\n');
  });

  it('is one implementation in both module forms, and a resource like any other', () => {
    assert.equal(require('fasttunnel/runner').fastTunnel, fastTunnel);
    const { nodeExposure } = R;
    assert.deepEqual(Object.keys(fastTunnel).sort(), Object.keys(nodeExposure).sort());
    assert.equal(fastTunnel.with({ http: {} }).resource.id, fastTunnel.id);
    assert.notEqual(fastTunnel.fork('another').id, fastTunnel.id);
  });
});

onBothDrivers('runner lifecycle', (driver) => {
  const { fastTunnel: exposure } = exposuresFor(driver);

  it('listens when run() resolves, and says so as nodeExposure does', async () => {
    const both = [];
    for (const one of Object.values(exposuresFor(driver))) {
      await withApp(one, { items: [add], http: { basePath: '/api/' } }, async ({ logs, url, value }) => {
        both.push(logs);
        assert.equal(value.basePath, '/api');
        assert.deepEqual(await call(url, '/task/app.tasks.add', { input: { a: 1, b: 2 } }), { status: 200, ok: true, result: 3 });
      });
    }
    assert.deepEqual(both[1], both[0]);
    assert.equal(both[0][0].message, 'node.exposure.listen');
    assert.equal(both[0][0].source, 'platform.node.resources.exposure');
  });

  it('tells where it listens and on what, and has what the value of nodeExposure has', () => withApp(exposure, { items: [add] }, async ({ value }) => {
    const both = {};
    await withApp(exposuresFor(driver).nodeExposure, {}, async ({ value: reference }) => { both.nodeExposure = reference; });
    assert.equal(value.driver, driver);
    assert.equal(value.url, `http://127.0.0.1:${value.port}/__runner`);
    assert.deepEqual(value.server.address(), { address: '127.0.0.1', family: 'IPv4', port: value.port });
    assert.equal(value.stats().driver, driver);
    for (const name of Object.keys(both.nodeExposure)) {
      assert.equal(typeof value[name], typeof both.nodeExposure[name], name);
    }
  }));

  it('the base path loses one trailing slash, not two', () => withApp(exposure, { items: [add], http: { basePath: '/x//' } }, async ({ port, value }) => {
    assert.equal(value.basePath, '/x/');
    assert.equal((await call(`http://127.0.0.1:${port}`, '/x//task/app.tasks.add', { a: 1, b: 2 })).result, 3);
    assert.equal((await post(`http://127.0.0.1:${port}`, '/x/task/app.tasks.add', {})).headers.get('x-runner-request-id'), null);
  }));

  it('answers what is in flight when the app is disposed of, then nothing', async () => {
    let started;
    const running = new Promise((resolve) => { started = resolve; });
    const slow = r.task('app.tasks.slow').run(async () => { started(); await new Promise((resolve) => setTimeout(resolve, 150)); return 'done'; }).build();
    let answer;
    let address;
    await withApp(exposure, { items: [slow] }, async ({ url, value }) => {
      address = url;
      answer = call(url, '/task/app.tasks.slow', {});
      await running;
      // May be called more than once, here and by the container.
      await Promise.all([value.close(), value.close()]);
    });
    assert.deepEqual(await answer, { status: 200, ok: true, result: 'done' });
    await assert.rejects(fetch(address), { name: 'TypeError' });
  });

  it('tells how it is where engine.admin says, until the app is disposed of', async () => {
    let admin;
    await withApp(exposure, { items: [add], engine: { admin: { port: 0 } } }, async ({ value }) => {
      admin = value.admin;
      assert.equal(admin.url, `http://127.0.0.1:${admin.port}`);
      assert.deepEqual([(await probe(admin, '/livez')).text, (await probe(admin, '/readyz')).text], ['ok', 'ok']);
    });
    assert.equal((await probe(admin, '/livez')).status, 0);
    await withApp(exposure, { items: [add] }, async ({ value }) => assert.equal(value.admin, undefined));
  });

  it('the root is a base path (D8)', () => withApp(exposure, { items: [add], http: { basePath: '/' } }, async ({ port }) => {
    assert.equal((await call(`http://127.0.0.1:${port}`, '/task/app.tasks.add', { a: 1, b: 2 })).result, 3);
  }));

  it('a limit of Infinity is none that matters', () => withApp(exposure, { items: [add], http: { limits: { json: { maxSize: Infinity }, multipart: { files: 1 } } } }, async ({ url }) => {
    assert.equal((await post(url, '/task/app.tasks.add', { a: 1, b: 'x'.repeat(3 * 2 ** 20) })).status, 200);
  }));

  it('nothing is exposed until the tunnels have their values, everything they say as soon as they have', async () => {
    const seen = [];
    let probe;
    const late = r.resource('app.late').tags([globals.tags.tunnel]).dependencies({ exposure: exposure.resource }).init(async (_config, dependencies) => {
      probe = async () => (await call(`http://127.0.0.1:${dependencies.exposure.port}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 }));
      seen.push(await probe());
      return { mode: 'server', tasks: ['app.tasks.add'] };
    }).build();
    const last = r.resource('app.last').dependencies({ late }).init(async () => { seen.push(await probe()); }).build();
    await withApp(exposure, { items: [add, late, last, r.resource('app.first').dependencies({ last }).init(async () => 1).build()], tunnels: [] }, async () => {
      assert.deepEqual(seen.map(({ status, error, result }) => [status, error?.message ?? result]), [[403, 'Exposure not enabled'], [200, 3]]);
    });
  });

  it('asks the tunnels again on refresh(), and not before', async () => {
    const value = { mode: 'server', tasks: [] };
    const changing = r.resource('app.changing').tags([globals.tags.tunnel]).init(async () => value).build();
    await withApp(exposure, { items: [add], tunnels: [changing] }, async ({ url, value: tunnel }) => {
      const status = async () => (await post(url, '/task/app.tasks.add', { a: 1, b: 2 }, { 'x-runner-token': TOKEN })).status;
      assert.equal(await status(), 403);
      value.tasks = ['app.tasks.add'];
      assert.equal(await status(), 403);
      tunnel.refresh();
      // Every shard takes the new list when it comes to it.
      await until(async () => (await status()) === 200, 'the task is exposed');
      value.mode = 'none';
      tunnel.refresh();
      await until(async () => (await status()) === 403, 'the task is hidden');
    });
  });
});
