// The errors that users meet: names, codes, texts, and what a handler's error answers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ListenError, NativeLoadError, TaskError } from 'fasttunnel';
import { loadRunner, RunnerPeerError } from 'fasttunnel/runner';

const require = createRequire(import.meta.url);
const { errorAnswerOf, describeThrown, INTERNAL_ERROR } = require('../dist/cjs/errors/task-error.js');
const { reportOnStderr } = require('../dist/cjs/bridge/error-reports.js');
const { listenErrorOf } = require('../dist/cjs/errors/listen-error.js');
const { fixFor } = require('../dist/cjs/native/load.js');
const { plainCodec } = require('../dist/cjs/values/codec.js');

const E500 = '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}';
const answer = (error) => errorAnswerOf(error, plainCodec.stringify);

describe('TaskError', () => {
  it('becomes the envelope of the contract, keys in its order', () => {
    const error = new TaskError('Conflict on k1', { httpCode: 409, data: { key: 'k1' }, id: 'app.errors.conflict' });
    assert.ok(error instanceof Error);
    assert.equal(error.name, 'TaskError');
    assert.match(error.stack, /^TaskError: Conflict on k1\n/);
    assert.deepEqual(answer(error), {
      status: 409,
      body: '{"ok":false,"error":{"message":"Conflict on k1","code":"INTERNAL_ERROR","id":"app.errors.conflict","data":{"key":"k1"},"httpCode":409}}',
    });
  });

  it('leaves out what was not given', () => {
    assert.deepEqual(answer(new TaskError('No')), { status: 500, body: '{"ok":false,"error":{"message":"No","code":"INTERNAL_ERROR"}}' });
    assert.match(answer(new TaskError('No', { data: { a: undefined } })).body, /"data":\{"a":\{"__type":"Undefined","value":null\}\}/);
  });

  it('answers 500 for a status that is none of an error', () => {
    for (const httpCode of [200, 399, 600, 404.5, NaN, '404', null, undefined]) {
      assert.deepEqual(answer(new TaskError('x', { httpCode })), { status: 500, body: '{"ok":false,"error":{"message":"x","code":"INTERNAL_ERROR"}}' });
    }
    for (const httpCode of [400, 404, 599]) assert.equal(answer(new TaskError('x', { httpCode })).status, httpCode);
  });

  it('keeps its cause for the log', () => {
    const cause = new Error('inner');
    assert.equal(new TaskError('x', { cause }).cause, cause);
    assert.equal(Object.hasOwn(new TaskError('x'), 'cause'), false);
  });

  it('is recognised across copies of the package, but not by its looks', () => {
    class Other extends TaskError {}
    assert.ok(TaskError.is(new Other('x')));
    assert.equal(answer(Object.assign(new Error('secret'), { id: 'a', data: {}, httpCode: 409 })).body, E500);
  });
});

describe('whatever else a handler throws', () => {
  const trap = () => { throw new Error('trap'); };
  const proxy = new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap });
  const cycle = {};
  cycle.self = cycle;
  const THROWN = [
    ['an Error', new Error('secret')], ['a string', 'secret'], ['null', null], ['undefined', undefined], ['a symbol', Symbol('x')], ['a function', () => {}],
    ['a Proxy', proxy], ['an object whose toString throws', Object.freeze({ toString: trap })], ['an Error with a throwing stack', Object.defineProperty(new Error('x'), 'stack', { get: trap })],
    ['a TaskError with a cycle', new TaskError('x', { data: cycle })], ['a TaskError with a bigint', new TaskError('x', { data: 1n })],
    ['a TaskError with a throwing message', Object.defineProperty(new TaskError('x'), 'message', { get: trap })],
  ];
  for (const [what, thrown] of THROWN) {
    it(`${what} answers 500 without details`, () => {
      assert.deepEqual(answer(thrown), { status: 500, body: E500 });
      assert.equal(typeof describeThrown(thrown), 'string');
    });
  }
  it('has one answer', () => assert.equal(INTERNAL_ERROR.body, E500));
  it('is reported with its cause, and with the request where there is one', (t) => {
    const { mock } = t.mock.method(console, 'error', () => {});
    reportOnStderr(new Error('outer', { cause: new TypeError('inner') }), { kind: 'task', id: '(worker)', requestId: '' });
    reportOnStderr(new Error('lone'), { kind: 'task', id: 'a', requestId: 'r-1' });
    const [[first], [second]] = mock.calls.map(({ arguments: told }) => told);
    assert.match(first, /^fasttunnel: task \(worker\) failed: Error: outer\n[^]*\nCaused by TypeError: inner\n/);
    assert.match(second, /^fasttunnel: task a failed \(request r-1\): Error: lone\n/);
  });
});

describe('ListenError', () => {
  it('names the address and the fix', () => {
    const system = Object.assign(new Error('bind failed'), { code: 'EADDRINUSE' });
    const error = listenErrorOf(system, { shown: '127.0.0.1:7070' });
    assert.ok(error instanceof ListenError);
    assert.equal(error.code, 'EADDRINUSE');
    assert.equal(error.cause, system);
    assert.match(error.message, /cannot listen on 127\.0\.0\.1:7070: EADDRINUSE\. Something listens there already.*port 0/);
    assert.match(listenErrorOf(Object.assign(new Error(''), { code: 'EACCES' }), { shown: '0.0.0.0:80' }).message, /above 1023/);
  });
  it('reads the code from the text where that is all there is', () => {
    assert.equal(listenErrorOf(new Error('EADDRNOTAVAIL: bind 10.9.8.7:1'), { shown: 'x' }).code, 'EADDRNOTAVAIL');
  });
  it('leaves other errors alone', () => {
    for (const error of [new NativeLoadError('x', []), new Error('something'), 'text', undefined]) assert.equal(listenErrorOf(error, { shown: 'x' }), error);
  });
});

describe('the native addon', () => {
  const load = (env, script = '') => {
    const program = `${script}; try { require('./dist/cjs/native/load.js').loadNative(); console.log('loaded'); } catch (e) { console.log(JSON.stringify({ name: e.name, code: e.code, message: e.message, tried: e.tried })); }`;
    return JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: new URL('..', import.meta.url), env: { ...process.env, ...env }, encoding: 'utf8' }));
  };

  it('says what is missing, for which platform, and the fix', () => {
    const error = load({ FASTTUNNEL_NATIVE_PATH: '/nowhere/x.node' });
    assert.equal(error.code, 'FASTTUNNEL_NATIVE_LOAD');
    assert.deepEqual(error.tried, ['/nowhere/x.node']);
    assert.match(error.message, /missing.*linux x64 glibc [0-9.]+, Node 2.*Tried: \/nowhere\/x\.node.*FASTTUNNEL_NATIVE_PATH/);
  });

  it('says what is wrong with a file that is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-'));
    try {
      const file = join(folder, 'broken.node');
      writeFileSync(file, 'not an addon');
      const error = load({ FASTTUNNEL_NATIVE_PATH: file });
      assert.equal(error.name, 'NativeLoadError');
      assert.match(error.message, /could not be loaded.*damaged|made for another processor/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('says so on a platform that has none', () => {
    const error = load({ FASTTUNNEL_NATIVE_PATH: '' }, "Object.defineProperty(process, 'platform', { value: 'darwin' }); Object.defineProperty(process, 'arch', { value: 'arm64' })");
    assert.match(error.message, /no native addon for darwin arm64, Node.*linux-x64-gnu/);
  });

  it('knows the linker\'s complaints', () => {
    assert.match(fixFor("/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by x)"), /glibc 2\.38 or newer/);
    assert.match(fixFor('Error loading shared library ld-linux-x86-64.so.2'), /musl/);
    assert.match(fixFor('invalid ELF header'), /damaged/);
  });
});

describe('fasttunnel/runner', () => {
  const inFolder = (version, check) => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-'));
    try {
      if (version !== undefined) {
        const peer = join(folder, 'node_modules', '@bluelibs', 'runner');
        mkdirSync(peer, { recursive: true });
        writeFileSync(join(peer, 'package.json'), JSON.stringify({ name: '@bluelibs/runner', version, main: 'index.js' }));
        writeFileSync(join(peer, 'index.js'), 'exports.marker = 1;');
      }
      return check(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it('finds the real peer', () => {
    const runner = loadRunner();
    assert.equal(runner.version, '5.5.0');
    assert.equal(typeof runner.module.createHttpClient, 'function');
  });

  it('takes 5.5 and later 5.x only', () => {
    for (const version of ['5.5.0', '5.6.1', '5.20.0']) inFolder(version, (folder) => assert.equal(loadRunner(folder).module.marker, 1));
    for (const version of ['4.9.0', '5.4.9', '6.0.0', '5.6.0-beta.1', 'x']) {
      inFolder(version, (folder) => {
        assert.throws(() => loadRunner(folder), (error) => {
          assert.ok(error instanceof RunnerPeerError);
          assert.equal(error.code, 'FASTTUNNEL_RUNNER_UNSUPPORTED');
          assert.ok(error.message.includes(`found ${version}`) && error.message.includes('npm install @bluelibs/runner@^5.5.0'), error.message);
          return true;
        });
      });
    }
  });

  it('says how to install it when it is missing', () => {
    inFolder(undefined, (folder) => {
      assert.throws(() => loadRunner(folder), { code: 'FASTTUNNEL_RUNNER_MISSING', install: 'npm install @bluelibs/runner@^5.5.0', message: /not installed\. Run: npm install/ });
    });
  });
});

describe('both module forms', () => {
  it('are one implementation', () => {
    assert.equal(require('fasttunnel').TaskError, TaskError);
    assert.equal(require('fasttunnel/runner').loadRunner, loadRunner);
    assert.equal(require('fasttunnel/package.json').name, 'fasttunnel');
  });
});
