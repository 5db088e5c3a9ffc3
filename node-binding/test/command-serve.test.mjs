// `fasttunnel serve`: which functions of a module are exposed, to whom, what is said when none are, and how it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fasttunnel, installInto, serving } from './support/command-line.mjs';
import { COMMANDS as RUNTIMES } from './support/runtimes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-serve-'));
installInto(folder);
after(() => rmSync(folder, { recursive: true }));
const write = (name, text) => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
};
const ANONYMOUS = ['--anonymous', '--port', '0'];

async function call(url, id, input, { kind = 'task', headers = {} } = {}) {
  const body = JSON.stringify(kind === 'task' ? { input } : { payload: input });
  const response = await fetch(`${url}/${kind}/${id}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  return response.status === 200 ? (await response.json()).result : response.status;
}

const idsOf = ({ said }) => ['tasks', 'events'].map((kind) => new RegExp(`^${kind}: (.*)$`, 'm').exec(said.stdout)[1]);

describe('fasttunnel serve', () => {
  it('exposes functions, those of nested objects with dotted ids, and events; nothing else', async () => {
    write('math.mjs', 'export const add = ({ a, b }) => a + b;');
    write('tasks.mjs', `
      export * as math from './math.mjs';
      export const hello = ({ name }, { id }) => 'Hello ' + name + ' from ' + id;
      export const counter = { by: 2, deep: { next(n) { return n + this.step; }, step: 5 }, times(n) { return n * this.by; } };
      counter.self = counter;
      export const events = { note: ({ text }) => { console.log('heard ' + text); }, twice: [() => console.log('one'), () => console.log('two')] };
      export class Secret { constructor() {} }
      export const version = 3;
      export async function* lines({ n }) { for (let line = 0; line < n; line += 1) yield line + '\\n'; }`);
    await serving(folder, ['./tasks.mjs', ...ANONYMOUS], async (server) => {
      assert.deepEqual(idsOf(server), ['counter.deep.next, counter.times, hello, lines, math.add', 'note, twice']);
      const { url } = server;
      assert.equal(await call(url, 'math.add', { a: 1, b: 2 }), 3);
      assert.equal(await call(url, 'hello', { name: 'Jo' }), 'Hello Jo from hello');
      assert.equal(await call(url, 'counter.times', 4), 8);
      assert.equal(await call(url, 'counter.deep.next', 4), 9, 'a function keeps its object');
      assert.equal(await call(url, 'Secret'), 403);
      await call(url, 'note', { text: 'this' }, { kind: 'event' });
      await call(url, 'twice', {}, { kind: 'event' });
      await server.printed(/heard this\none\ntwo\n/);
      const response = await fetch(`${url}/task/lines`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":{"n":2}}' });
      assert.equal(await response.text(), '0\n1\n');
    });
  });

  it('takes CommonJS, a default export, and a name without its ending', async () => {
    write('common.cjs', 'exports.__esModule = true; exports.add = ({ a, b }) => a + b; exports.text = { up: (text) => text.toUpperCase() };');
    write('whole.cjs', "module.exports = { add: ({ a, b }) => a + b, text: { up: (text) => text.toUpperCase() } };");
    write('whole.mjs', "export default { add: ({ a, b }) => a + b, text: { up: (text) => text.toUpperCase() } };");
    write('folder/index.js', "exports.add = ({ a, b }) => a + b; exports.text = { up: (text) => text.toUpperCase() };");
    for (const name of ['common.cjs', './whole.cjs', 'whole', join(folder, 'whole.mjs'), './folder']) {
      await serving(folder, [name, ...ANONYMOUS], async (server) => {
        assert.deepEqual(idsOf(server), ['add, text.up', 'none'], name);
        assert.deepEqual([await call(server.url, 'add', { a: 1, b: 2 }), await call(server.url, 'text.up', 'a')], [3, 'A']);
      });
    }
  });

  it('exposes `tasks` alone when the module says so, by ids as fastTunnel() takes them', async () => {
    write('said.mjs', "export const tasks = { 'app.tasks.add': ({ a, b }) => a + b }; export const helper = () => 'secret'; export const events = { 'app.events.note': () => {} };");
    await serving(folder, ['said.mjs', ...ANONYMOUS], async (server) => {
      assert.deepEqual(idsOf(server), ['app.tasks.add', 'app.events.note']);
      assert.equal(await call(server.url, 'helper'), 403);
    });
  });

  it('says why a module cannot be served', async () => {
    write('nothing.mjs', '');
    write('numbers.mjs', 'export const one = 1; export class Two {}');
    write('wrong.mjs', 'export const tasks = { add: 1 };');
    write('doubled.mjs', 'export const add = () => 1; export default { add: () => 2 };');
    write('dots.mjs', "export const tasks = { 'a.b': () => 1, a: { b: () => 2 } };");
    write('throws.mjs', "import './nothing.mjs';\nthrow new Error('no database');");
    write('imports.mjs', "import './missing.mjs';");
    write('broken.mjs', 'export const add = ({ a, b }) => a +;');
    write('broken.cjs', 'exports.add = (;');
    mkdirSync(join(folder, 'empty'), { recursive: true });
    write('waits.mjs', 'await new Promise(() => {});\nexport const add = ({ a, b }) => a + b;');
    for (const [name, ...texts] of [
      ['empty', `${join(folder, 'empty')} is a directory that is no module: name a file in it`],
      ['waits.mjs', 'waits.mjs does not come to the end of its loading: a top-level await waits'],
      ['taks.mjs', 'there is no module taks.mjs: ', `Did you mean ${join(folder, 'tasks.mjs')}?`],
      ['node:fs', 'there is no module node:fs'],
      ['nothing.mjs', 'exports no function. It exports nothing. Write for example: export const add'],
      ['numbers.mjs', 'exports no function. It exports Two, one, none of which is a function'],
      ['wrong.mjs', 'tasks: add is no function.'],
      ['doubled.mjs', 'exports add twice: by name, and in its default export.'],
      ['dots.mjs', 'has two functions with the id a.b.'],
      ['throws.mjs', 'throws.mjs cannot be loaded:\nError: no database\n', 'throws.mjs:2:7'],
      ['imports.mjs', 'cannot be loaded:', 'Cannot find module', 'missing.mjs'],
      ['broken.mjs', 'broken.mjs:1\nexport const add = ({ a, b }) => a +;\n', "SyntaxError: Unexpected token ';'"],
      ['broken.cjs', 'broken.cjs:1\nexports.add = (;\n', "SyntaxError: Unexpected token ';'"],
    ]) {
      const { status, stdout, stderr } = await fasttunnel(folder, ['serve', name, ...ANONYMOUS]);
      assert.deepEqual([status, stdout], [1, ''], name);
      for (const text of ['fasttunnel: ', ...texts]) assert.ok(stderr.includes(text), `${text} in ${stderr}`);
      assert.doesNotMatch(stderr, /node:internal|dist\/cjs/, 'nobody needs to see Node inside, or this package');
    }
  });

  it('is not open by mistake: it wants a token or --anonymous', async () => {
    write('one.mjs', "export const one = () => 1; console.log('loaded');");
    const { status, stdout, stderr } = await fasttunnel(folder, ['serve', 'one.mjs']);
    assert.deepEqual([status, stdout], [2, ''], 'before anything of the module runs');
    assert.match(stderr, /--token TOKEN \(or the variable FASTTUNNEL_TOKEN\).*--anonymous/);
    const both = await fasttunnel(folder, ['serve', 'one.mjs', '--anonymous', '--token', 'secret']);
    assert.deepEqual([both.status, both.stderr], [2, 'fasttunnel: --token and --anonymous exclude each other: with a token, nobody calls without it.\n']);
  });

  it('takes tokens from its options or the environment, and never prints them', async () => {
    const expectTokens = (args, env, right) => serving(folder, ['one.mjs', '--port', '0', ...args], async ({ url, said }) => {
      assert.equal(await call(url, 'one'), 401);
      for (const token of right) assert.equal(await call(url, 'one', undefined, { headers: { 'x-runner-token': token } }), 1, token);
      assert.doesNotMatch(said.stdout + said.stderr, /s3cret/);
    }, { env });
    await expectTokens(['--token', 's3cret-a', '--token=s3cret-b'], {}, ['s3cret-a', 's3cret-b']);
    await expectTokens([], { FASTTUNNEL_TOKEN: 's3cret-c' }, ['s3cret-c']);
    await serving(folder, ['one.mjs', '--port', '0', '--token', 'a', '--token-header', 'authorization'], async ({ url }) => {
      assert.equal(await call(url, 'one', undefined, { headers: { authorization: 'a' } }), 1);
    });
  });

  it('listens where it is told to, with the options of a tunnel', async () => {
    write('slow.mjs', 'export const slow = (_input, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve));');
    const socket = join(folder, 'tunnel.sock');
    await serving(folder, ['slow.mjs', '--anonymous', '--socket', socket, '--base-path', '/api', '--driver', 'epoll', '--shards', '2', '--timeout-ms', '100', '--admin-port', '0', '--cors-origin', 'https://a.example', '--no-discovery'], async ({ url, printed, said }) => {
      assert.equal(url, `unix:${socket}:/api`);
      assert.match(said.stdout, /^listening on \S+ \(epoll\)$/m);
      const [, health] = await printed(/^health on (\S+)\/livez/m);
      assert.equal(await (await fetch(`${health}/livez`)).text(), 'ok');
      assert.equal((await overSocket(socket, 'POST', '/api/task/slow')).statusCode, 504);
      const { statusCode, headers } = await overSocket(socket, 'GET', '/api/discovery', { origin: 'https://a.example' });
      assert.deepEqual([statusCode, headers['access-control-allow-origin']], [404, 'https://a.example']);
    });
    await serving(folder, ['slow.mjs', '--anonymous', '--port', '0', '--placement', 'inline'], async ({ said }) => {
      assert.match(said.stdout, /^listening on \S+ \(\w+, inline\)$/m);
    });
    for (const [args, text] of [
      [['--placement', 'outside'], "--placement must be one of 'auto', 'threads', 'inline', got 'outside'."],
      [['--socket', socket, '--port', '1'], '--socket stands instead of --port and --host'],
      [['--driver', 'iouring'], "--driver must be one of 'auto', 'io_uring', 'epoll', got 'iouring'. Did you mean 'io_uring'?"],
      [['--base-path', '/a b'], '--base-path must be printable ASCII'],
      [['--cors-origin', 'a b'], '--cors-origin must '],
      [['--host', '[::1]'], "--host must be a host name or an IP address, got '[::1]'. Write '::1', without brackets."],
    ]) {
      const { status, stderr } = await fasttunnel(folder, ['serve', 'one.mjs', '--anonymous', ...args]);
      assert.equal(status, 2);
      assert.ok(stderr.startsWith(`fasttunnel: ${text}`), stderr);
    }
  });

  it('says that something listens there already', async () => {
    await serving(folder, ['one.mjs', ...ANONYMOUS], async ({ url }) => {
      const { port } = new URL(url);
      const { status, stderr } = await fasttunnel(folder, ['serve', 'one.mjs', '--anonymous', '--port', port]);
      assert.equal(status, 1);
      assert.match(stderr, new RegExp(`^fasttunnel: ListenError: cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE`));
    });
  });

  for (const signal of ['SIGINT', 'SIGTERM']) {
    it(`on ${signal} answers what is under way, then ends by it`, async () => {
      write('second.mjs', "export const second = () => new Promise((resolve) => { console.log('called'); setTimeout(resolve, 400, 'done'); });");
      await serving(folder, ['second.mjs', ...ANONYMOUS, '--watch'], async ({ url, child, printed, ended }) => {
        const answer = call(url, 'second');
        await printed(/^called$/m);
        child.kill(signal);
        assert.equal(await answer, 'done');
        const { status, signal: by, stderr } = await ended;
        assert.deepEqual([status, by, stderr], [null, signal, '']);
      });
    });
  }
});

it('npx that gets a SIGTERM takes the server with it, which answers what is under way', { timeout: 30_000 }, async () => {
  write('late.mjs', "export const late = () => new Promise((resolve) => { console.log('called'); setTimeout(resolve, 800, process.pid); });");
  const npx = spawn('npx', ['fasttunnel', 'serve', 'late.mjs', ...ANONYMOUS], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  npx.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; });
  const printed = async (pattern) => {
    while (!pattern.test(stdout)) await once(npx.stdout, 'data');
    return pattern.exec(stdout);
  };
  const [, url] = await printed(/^listening on (\S+) [^]*events:/m);
  const answer = call(url, 'late');
  await printed(/^called$/m);
  npx.kill('SIGTERM');
  const pid = await answer;
  assert.ok(pid > 0);
  for (let turn = 0; existsSync(`/proc/${pid}`); turn += 1) {
    assert.ok(turn < 500, 'the server lives on');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

function overSocket(socketPath, method, path, headers = {}) {
  return new Promise((resolve, reject) => {
    request({ socketPath, method, path, headers: { 'content-type': 'application/json', ...headers } }, (response) => resolve(response.resume())).on('error', reject).end();
  });
}

describe('fasttunnel serve --watch', () => {
  /** A file as editors write it: another one takes its place. */
  const save = (name, text) => {
    write(`${name}.new`, text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
  };

  /** Changes of a module and of one that it imports are seen, without a call that is refused or a connection that is cut. */
  async function expectReloads(name, { entry, part }, options) {
    const [file, imported] = [`watched/${name}`, `watched/parts/part-${name}`];
    write(imported, part(1));
    write(file, entry(''));
    await serving(folder, [file, ...ANONYMOUS, '--watch'], async ({ url, printed, said }) => {
      assert.equal(await call(url, 'value'), 1);
      let running = true;
      const wrong = [];
      const traffic = (async () => {
        while (running) {
          const value = await call(url, 'steady');
          if (value !== 'here') wrong.push(value);
        }
      })();
      save(imported, part(2));
      await printed(/^reloaded$/m);
      assert.equal(await call(url, 'value'), 2, 'an import has changed');
      save(file, entry('more'));
      await printed(/^reloaded \+more -old$/m);
      assert.deepEqual([await call(url, 'more'), await call(url, 'old')], ['more', 403]);
      save(imported, 'export const part = (;');
      await printed(/not reloaded, the functions from before stay: [^]*SyntaxError/, 'stderr');
      assert.equal(await call(url, 'value'), 2);
      write(imported, part(3));
      await printed(/(?:^reloaded.*\n[^]*){3}/m);
      assert.equal(await call(url, 'value'), 3);
      running = false;
      await traffic;
      assert.deepEqual(wrong, [], said.stderr);
    }, options);
  }

  const MODULE = {
    entry: (more) => `import { part } from './parts/part-X'; export const value = () => part; export const steady = () => 'here'; export const ${more === '' ? 'old' : more} = () => '${more}';`,
    part: (value) => `export const part = ${value};`,
  };
  const COMMON = {
    entry: (more) => `const { part } = require('./parts/part-X'); exports.value = () => part; exports.steady = () => 'here'; exports.${more === '' ? 'old' : more} = () => '${more}';`,
    part: (value) => `exports.part = ${value};`,
  };
  const named = ({ entry, part }, name) => ({ entry: (more) => entry(more).replace('part-X', `part-${name}`), part });

  it('reloads ES modules and what they import, while calls go on', { timeout: 30_000 }, () => expectReloads('a.mjs', named(MODULE, 'a.mjs')));
  it('reloads CommonJS and what it requires, while calls go on', { timeout: 30_000 }, () => expectReloads('b.cjs', named(COMMON, 'b.cjs')));

  // Of those with each way to look at imports, the oldest and the newest.
  for (const runtime of ['Node 18.20', 'Node 22', 'Node 25']) {
    const command = RUNTIMES[runtime];
    it(`reloads on ${runtime}`, { timeout: 30_000 }, async () => {
      const id = runtime.replace(/\W/g, '');
      await expectReloads(`${id}.mjs`, named(MODULE, `${id}.mjs`), { command });
      await expectReloads(`${id}.cjs`, named(COMMON, `${id}.cjs`), { command });
    });
  }

  it('does not load again what it writes itself, nor installed packages', async () => {
    write('node_modules/other/package.json', '{"name":"other","main":"main.js"}');
    write('node_modules/other/main.js', 'exports.loads = (globalThis.loads = (globalThis.loads ?? 0) + 1);');
    write('writes.mjs', `
      import { writeFileSync } from 'node:fs';
      import other from 'other';
      export const write = (text) => { writeFileSync(new URL('./written.json', import.meta.url), text); return other.loads; };`);
    await serving(folder, ['writes.mjs', ...ANONYMOUS, '--watch'], async ({ url, said, printed }) => {
      assert.equal(await call(url, 'write', '{}'), 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.doesNotMatch(said.stdout, /reloaded/);
      save('writes.mjs', `import other from 'other'; export const loads = () => other.loads;`);
      await printed(/^reloaded \+loads -write$/m);
      assert.equal(await call(url, 'loads'), 1);
    });
  });
});
