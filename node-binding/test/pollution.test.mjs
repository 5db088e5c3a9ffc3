// Names that lead to prototypes, wherever a caller can put a name: they are names like others, or dropped.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RawSocket } from './support/raw-socket.mjs';
import { exposuresFor, post as postTo, R, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, post, withTunnel } from './support/tunnels.mjs';

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', 'then'];
const PROTOTYPES = [Object, Array, Function, String, Number, Boolean, Promise, Map, Set, Error, RegExp, Date, Uint8Array].map((constructor) => constructor.prototype);

/** What every object inherits, before and after. */
async function unpolluted(body) {
  const before = PROTOTYPES.map((prototype) => [Reflect.ownKeys(prototype), Object.getPrototypeOf(prototype), prototype.constructor, prototype.toString]);
  await body();
  assert.deepEqual(PROTOTYPES.map((prototype) => [Reflect.ownKeys(prototype), Object.getPrototypeOf(prototype), prototype.constructor, prototype.toString]), before);
  assert.equal({}.polluted, undefined);
}

/** Is there a way to a prototype of the caller's making, or such a key, anywhere in it? */
function assertHarmless(value, what) {
  if (typeof value !== 'object' || value === null) return;
  assert.equal(value.polluted, undefined, what);
  const prototype = Object.getPrototypeOf(value);
  assert.ok(prototype === null || PROTOTYPES.includes(prototype), what);
  for (const key of ['__proto__', 'constructor', 'prototype']) assert.ok(!Object.hasOwn(value, key), `${what}: ${key}`);
  const members = value instanceof Map ? [...value].flat() : Object.values(value);
  for (const member of members) assertHarmless(member, what);
}

/** Bodies' values; each is sent bare, as an input and as a payload. */
const VALUES = [
  '{"__proto__":{"polluted":1}}',
  '{"a":{"b":[{"__proto__":{"polluted":1},"kept":1}]}}',
  '{"\\u005f_proto__":{"polluted":1}}',
  '{"__pr\\u006Fto__":{"polluted":1}}',
  '{"\\u005F\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"\\u0063onstructor":{"\\u0070rototype":{"polluted":1}}}',
  '{"prototype":{"polluted":1}}',
  '[{"__proto__":[]},{"__proto__":null},{"__proto__":1}]',
  '{"__proto__":{"__proto__":{"polluted":1}}}',
  '{"__proto__":1,"__proto__":{"polluted":1}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3,"then":4,"__defineGetter__":5,"length":-1}',
  '{"a":{"__type":"Undefined","value":null,"__proto__":{"polluted":1}}}',
];

/** What only a serializer reads. */
const TYPED = [
  '{"__type":"Map","value":[["__proto__",1],["a",{"__proto__":{"polluted":1}}]]}',
  '{"$runner.escape::__proto__":{"polluted":1}}',
  '{"$runner.escape::$runner.escape::__proto__":1}',
  '{"__graph":true,"version":1,"root":{"__ref":"a"},"nodes":{"a":{"kind":"object","value":{"__proto__":{"polluted":1},"x":1}}}}',
  '{"__graph":true,"version":1,"root":{"__ref":"__proto__"},"nodes":{"a":{"kind":"object","value":{}}}}',
  '{"__type":"__proto__","value":{"polluted":1}}',
  '{"__type":"constructor","value":{"polluted":1}}',
];

onBothDrivers('prototypes', (driver) => {
  it('are out of reach of ids', () => unpolluted(() => withTunnel({ driver }, async (tunnel) => {
    for (const name of [...NAMES, '%5f%5fproto%5F%5F', '%5F_proto__']) {
      for (const kind of ['task', 'event']) {
        const { status, text } = await post(tunnel, `/${kind}/${name}`, {});
        assert.deepEqual([status, JSON.parse(text).error.code], [403, 'FORBIDDEN'], name);
      }
    }
    for (const name of NAMES) tunnel.registerTask(name, (input) => [name, input]).registerEvent(name, () => {});
    for (const name of NAMES) {
      assert.equal((await post(tunnel, `/task/${name}`, { input: 1 })).text, JSON.stringify({ ok: true, result: [name, 1] }));
      assert.equal((await post(tunnel, `/event/${name}`, {})).text, '{"ok":true}');
    }
    assert.deepEqual(tunnel.getTaskIds(), NAMES);
    const { result } = await (await fetch(`${tunnel.url}/discovery`)).json();
    assert.deepEqual(result.allowList, { enabled: true, tasks: NAMES, events: NAMES });
    for (const name of NAMES) assert.deepEqual([tunnel.unregisterTask(name), (await post(tunnel, `/task/${name}`, {})).status], [true, 403]);
  })));

  it('are out of reach of header names and queries', () => {
    let seen;
    return unpolluted(() => withTunnel({ driver, tasks: { look: (_input, { headers }) => { seen = headers; return headers.polluted ?? 'clean'; } } }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      const lines = NAMES.flatMap((name) => [`${name}: {"polluted":1}\r\n`, `${name}: twice\r\n`]).join('');
      const query = '__proto__[polluted]=1&constructor[prototype][polluted]=1&__proto__.polluted=1';
      await socket.write(`POST /__runner/task/look?${query} HTTP/1.1\r\nHost: x\r\n${lines}Content-Length: 2\r\n\r\n{}`);
      assert.equal((await socket.answer()).body, '{"ok":true,"result":"clean"}');
      assert.equal(Object.getPrototypeOf(seen), null);
      for (const name of NAMES) assert.equal(seen[name.toLowerCase()], '{"polluted":1}, twice', name);
      socket.destroy();
    }));
  });

  for (const [codec, serializer, values] of [['plain JSON', undefined, VALUES], ["Runner's serializer", new R.Serializer(), [...VALUES, ...TYPED]]]) {
    it(`are out of reach of bodies: ${codec}`, () => unpolluted(() => {
      const seen = [];
      const keep = (value) => { seen.push(value); return 'taken'; };
      return withTunnel({ driver, serializer, tasks: { take: keep }, events: { take: keep } }, async (tunnel) => {
        for (const value of values) {
          for (const [path, body] of [['/task/take', value], ['/task/take', `{"input":${value}}`], ['/task/take', `{"in\\u0070ut":${value},"__proto__":{"input":{"polluted":1}}}`], ['/event/take', `{"payload":${value},"__proto__":{"returnPayload":true}}`]]) {
            seen.length = 0;
            const { status, text } = await post(tunnel, path, body);
            // A serializer may refuse what is no record of its own.
            if (status === 400) {
              assert.ok(TYPED.includes(value), text);
              continue;
            }
            assert.equal(status, 200, `${body}: ${text}`);
            assert.equal(text, path === '/event/take' ? '{"ok":true}' : '{"ok":true,"result":"taken"}', body);
            assert.equal(seen.length, 1);
            assertHarmless(seen[0], body);
          }
        }
      });
    }));
  }

  it('are out of reach of forms', () => {
    let seen;
    const take = async (input) => {
      seen = input;
      const files = [];
      for (const file of [input.file, input.list?.[0]].filter(Boolean)) files.push([file.name, (await file.stream().toArray()).join('')]);
      return files;
    };
    const form = (manifest, ...parts) => {
      const data = new FormData();
      for (const [name, value, fileName] of [['__manifest', manifest], ...parts]) {
        if (fileName === undefined) data.append(name, value);
        else data.append(name, new Blob([value]), fileName);
      }
      return data;
    };
    return unpolluted(() => withTunnel({ driver, tasks: { take } }, async (tunnel) => {
      const send = async (body) => {
        const response = await fetch(`${tunnel.url}/task/take`, { method: 'POST', body });
        return response.json();
      };
      const fields = NAMES.map((name) => [name, '{"polluted":1}']);
      for (const id of NAMES) {
        const sentinel = `{"$runnerFile":"File","id":"${id}","meta":{"name":"${id}","__proto__":{"polluted":1},"extra":{"__proto__":{"polluted":1}}}}`;
        const { ok, result } = await send(form(`{"input":{"file":${sentinel},"__proto__":{"polluted":1}}}`, ...fields, [`file:${id}`, 'bytes', id]));
        assert.deepEqual([ok, result], [true, [[id, 'bytes']]], id);
        assertHarmless(seen.file.extra, id);
        assert.equal(seen.polluted, undefined);
      }
      for (const value of VALUES) {
        const { ok } = await send(form(`{"input":{"value":${value}},"__proto__":{"input":1}}`, ...fields));
        assert.equal(ok, true, value);
        assertHarmless(seen, value);
      }
      const direct = await send(form('{"__proto__":{"input":{"polluted":1}}}'));
      assert.ok(seen === undefined || direct.ok === false, 'an input of a prototype is none');
    }));
  });

  it('are out of reach in a Runner app: bodies, ids, contexts', () => {
    const seen = [];
    const { fastTunnel } = exposuresFor(driver);
    const user = R.r.asyncContext('app.user').build();
    const take = R.r.task('app.take').run(async (input) => { seen.push(input); let context; try { context = user.use(); } catch { context = 'none'; } return context; }).build();
    return unpolluted(() => withApp(fastTunnel, { items: [take, user] }, async ({ url }) => {
      for (const value of [...VALUES, ...TYPED]) {
        seen.length = 0;
        const { status } = await postTo(url, '/task/app.take', `{"input":${value}}`);
        assert.ok(status === 200 || (status === 400 && TYPED.includes(value)), `${status} ${value}`);
        for (const one of seen) assertHarmless(one, value);
      }
      for (const name of NAMES) assert.equal((await postTo(url, `/task/${name}`, {})).status, 403);
      for (const context of ['{"__proto__":{"app.user":"\\"x\\""}}', '{"__proto__":"{}","constructor":"{}"}', '{"app.user":"{\\"__proto__\\":{\\"polluted\\":1}}"}', '"__proto__"', 'null', '[1]']) {
        const { status, text } = await postTo(url, '/task/app.take', {}, { 'x-runner-context': context });
        assert.equal(status, 200);
        assert.doesNotMatch(text, /polluted|"x"/, context);
      }
    }));
  });
});
