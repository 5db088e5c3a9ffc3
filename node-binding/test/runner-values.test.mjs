// The fast path and the serializer agree, in both directions, on whatever values there are.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { ResultValues } = require('../dist/cjs/runner/result-values.js');
const { Serializer, r } = R;

class Money {
  constructor(amount) { this.amount = amount; }
}
const MONEY = { id: 'Money', is: (value) => value instanceof Money, serialize: ({ amount }) => ({ amount }), deserialize: ({ amount }) => new Money(amount) };
const BRANDED = { id: 'Branded', is: (value) => Object.hasOwn(value, 'brand'), serialize: ({ brand }) => brand, deserialize: (brand) => ({ brand }) };

const keys = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.constantFrom('__type', '__graph', '__ref', '__proto__', 'constructor', 'prototype', '$runner.escape::x', '$runner.escape::__type', 'toJSON', 'value', 'id', 'root', 'nodes', '0', '10', '2', 'length', 'then', 'brand', 'hasOwnProperty', ''),
);
const scalars = fc.oneof(
  fc.constantFrom(null, true, false, 0, -0, 1.5, 1e21, 5e-324, 2 ** 53, '', 'Date', '\ud800', '\u2028', 'text "quoted" \\ \u0000 \ud83d\ude00'),
  fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.string({ unit: 'binary' }),
);
const typed = fc.oneof(
  fc.constantFrom(undefined, NaN, Infinity, -Infinity, 12n, Symbol.for('k'), Symbol.iterator, /a+/gi),
  fc.date({ noInvalidDate: true }),
  fc.constant(null).map(() => new Money(5)),
  fc.constant(null).map(() => new URL('https://example.test/a?b')),
  fc.uint8Array({ maxLength: 4 }),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
);

const object = (entries) => {
  const made = {};
  // As JSON.parse makes it: `__proto__` is a key like any other.
  for (const [key, value] of entries) Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true });
  return made;
};
/** Containers around a kind of leaf. */
const tree = (leaves) => fc.letrec((tie) => ({
  node: fc.oneof({ maxDepth: 5, depthSize: 'small' }, leaves, tie('list'), tie('record')),
  list: fc.array(tie('node'), { maxLength: 5 }),
  record: fc.array(fc.tuple(keys, tie('node')), { maxLength: 5 }).map(object),
})).node;
const plain = tree(scalars);
const mixed = fc.letrec((tie) => ({
  node: fc.oneof({ maxDepth: 5, depthSize: 'small' }, scalars, typed, tie('list'), tie('record'), tie('map'), tie('set')),
  list: fc.array(tie('node'), { maxLength: 4 }),
  record: fc.array(fc.tuple(keys, tie('node')), { maxLength: 4 }).map(object),
  map: fc.array(fc.tuple(tie('node'), tie('node')), { maxLength: 3 }).map((entries) => new Map(entries)),
  set: fc.array(tie('node'), { maxLength: 3 }).map((items) => new Set(items)),
})).node;

/** What JSON.stringify and the serializer would read differently, or twice. */
const HOSTILE = {
  counter: (inner) => { let reads = 0; return { get n() { reads += 1; return reads; }, inner }; },
  changing: (inner) => { let reads = 0; return { get n() { reads += 1; return reads === 1 ? inner : new Date(0); }, inner }; },
  throwing: () => ({ get n() { throw new Error('read'); } }),
  hidden: (inner) => Object.defineProperty({ inner }, 'n', { value: 1, enumerable: false }),
  symbols: (inner) => ({ [Symbol('s')]: 1, [Symbol.toStringTag]: 'Map', inner }),
  nullPrototype: (inner) => Object.assign(Object.create(null), { inner }),
  inherited: (inner) => Object.create({ inherited: 1 }, { inner: { value: inner, enumerable: true } }),
  instance: (inner) => new (class Point { x = inner; get y() { return 2; } toJSON() { return 'replaced'; } })(),
  ownToJson: (inner) => ({ inner, toJSON: () => 'replaced' }),
  toJsonData: (inner) => ({ inner, toJSON: 1 }),
  listToJson: (inner) => Object.assign([inner], { toJSON: () => 'replaced' }),
  sparse: (inner) => { const list = [inner]; list[2] = 3; return list; },
  listGetter: (inner) => { let reads = 0; return Object.defineProperty([inner, 0], 1, { get: () => { reads += 1; return reads; }, enumerable: true }); },
  subclassed: (inner) => Object.assign(new (class List extends Array {})(), [inner]),
  withExtras: (inner) => Object.assign([inner], { extra: 1 }),
  proxy: (inner) => { let reads = 0; return new Proxy({ inner }, { get: (target, key) => (key === 'inner' ? ((reads += 1), [reads, target.inner]) : Reflect.get(target, key)) }); },
  lyingProxy: (inner) => new Proxy(new Map([['k', inner]]), { getPrototypeOf: () => Object.prototype }),
  boxed: () => [new Number(1), new String('s'), new Boolean(false)],
  cycle: (inner) => { const made = { inner }; made.self = made; return made; },
  listCycle: (inner) => { const made = [inner]; made.push(made); return made; },
  shared: (inner) => { const one = { inner }; return [one, one, { one }]; },
  method: () => ({ f() {} }),
  uniqueSymbol: () => [Symbol('u')],
  promise: (inner) => ({ inner, later: Promise.resolve(1) }),
  deep: (inner) => { let made = inner; for (let level = 0; level < 40; level += 1) made = level % 2 ? [made] : { made }; return made; },
  tooDeep: () => { let made = 0; for (let level = 0; level < 1000; level += 1) made = [made]; return made; },
  branded: (inner) => ({ brand: inner }),
  frozen: (inner) => Object.freeze({ inner }),
  invalidDate: () => new Date(NaN),
  error: (inner) => Object.assign(new TypeError('m'), { stack: 'S', inner }),
};

/** A description from which both paths build a value of their own: getters count their reads. */
const hostile = fc.tuple(fc.constantFrom(...Object.keys(HOSTILE)), fc.array(fc.constantFrom(...Object.keys(HOSTILE)), { maxLength: 3 }), mixed)
  .map(([first, rest, leaf]) => () => [first, ...rest].reduceRight((inner, name) => HOSTILE[name](inner), leaf));

const outcomeOf = (write) => {
  try {
    return write();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
/** The text of an answer, as the bridge would have it written. */
const fastly = (values, result) => outcomeOf(() => {
  const settled = values.settle(result);
  return `{"ok":true,"result":${values.isPlain(settled) ? JSON.stringify([settled]).slice(1, -1) : values.stringify(settled)}}`;
});
const exactly = (serializer, result) => outcomeOf(() => serializer.stringify({ ok: true, result }));

const SERIALIZERS = {
  'as it comes': () => new Serializer(),
  'with types added': () => { const made = new Serializer(); made.addType(MONEY); made.addType(BRANDED); return made; },
  'with little depth': () => new Serializer({ maxDepth: 6 }),
};
/** FASTTUNNEL_FUZZ=20 runs twenty times as many. */
const RUNS = { numRuns: 1500 * Number(process.env.FASTTUNNEL_FUZZ ?? 1) };

describe('results', () => {
  for (const [name, make] of Object.entries(SERIALIZERS)) {
    const serializer = make();
    const values = new ResultValues(serializer, R);
    const same = (build) => assert.equal(fastly(values, build()), exactly(serializer, build()));

    it(`plain ones (serializer ${name})`, () => fc.assert(fc.property(plain, (result) => same(() => result)), RUNS));
    it(`typed ones (serializer ${name})`, () => fc.assert(fc.property(mixed, (result) => same(() => result)), RUNS));
    it(`hostile ones (serializer ${name})`, () => fc.assert(fc.property(hostile, same), RUNS));
    it(`every kind of hostility (serializer ${name})`, () => { for (const make of Object.values(HOSTILE)) same(() => make({ a: 1 })); });
  }

  it('go the fast way when they are plain', () => {
    const values = new ResultValues(new Serializer(), R);
    for (const result of [3, -0, 'text', '\ud800', true, null, {}, [], { a: 1, b: [{ c: null }] }, Object.create(null), { toJSON: 1, __ref: 'x' }]) {
      assert.equal(values.isPlain(values.settle(result)), true, inspect(result));
    }
    for (const result of [undefined, NaN, 1n, { a: undefined }, [1, , 2], new Date(0), { __type: 1 }, { constructor: 1 }, new Money(1), [new Money(1)], [() => 1]]) {
      assert.equal(values.isPlain(values.settle(result)), false, inspect(result));
    }
    // Proved for what was settled, not for what looks like it; also when a whole batch is settled first.
    assert.equal(values.isPlain({}), false);
    const batch = [{ a: 1 }, [1], { at: new Date(0) }, { b: 2 }].map((result) => values.settle(result));
    assert.deepEqual(batch.map((result) => values.isPlain(result)), [true, true, false, true]);
    assert.equal(JSON.stringify(batch.slice(0, 2)), '[{"a":1},[1]]');
  });

  it('notice a type that is added later, and a toJSON that everything inherits', () => {
    const serializer = new Serializer();
    const values = new ResultValues(serializer, R);
    assert.equal(fastly(values, { brand: 1 }), '{"ok":true,"result":{"brand":1}}');
    serializer.addType(BRANDED);
    assert.equal(fastly(values, { brand: 1 }), '{"ok":true,"result":{"__type":"Branded","value":1}}');
    Object.defineProperty(Array.prototype, 'toJSON', { value: () => 'everywhere', configurable: true });
    try {
      assert.equal(values.isPlain(values.settle([1])), false);
    } finally {
      delete Array.prototype.toJSON;
    }
  });

  it('all go the exact way with a serializer that is not Runner\'s, or writes otherwise', () => {
    const pretty = new ResultValues(new Serializer({ pretty: true }), R);
    assert.equal(pretty.isPlain(pretty.settle(1)), false);
    assert.deepEqual(JSON.parse(fastly(pretty, { a: [1] })), { ok: true, result: { a: [1] } });
    const own = new ResultValues({ parse: JSON.parse, stringify: (value) => JSON.stringify(value) }, R);
    assert.equal(own.isPlain(own.settle('s')), false);
    assert.equal(fastly(own, { a: 1 }), '{"ok":true,"result":{"a":1}}');
  });
});

/** JSON texts with every kind of mark, written in every way. */
const escapeSome = (text) => text.replace(/[_$a-z]/g, (letter, at) => (at % 3 === 0 ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : letter));
// An Error is given a stack: without one it gets that of the place where it was revived.
const marked = fc.oneof(
  fc.constantFrom('Date', 'Map', 'Set', 'BigInt', 'Undefined', 'NonFiniteNumber', 'RegExp', 'Symbol', 'Error', 'URL', 'Uint8Array', 'Buffer', 'Nope').chain((type) =>
    fc.oneof(scalars, fc.constantFrom([], [[1, 2]], '12', '-Infinity', { pattern: 'a', flags: 'g' }, { kind: 'For', key: 'k' }, { name: 'E', message: 'm', stack: 'S' }, [1, 255])).map((value) => ({ __type: type, value }))),
  fc.constantFrom({ __graph: true, version: 1, root: { __ref: 'a' }, nodes: { a: { kind: 'object', value: { x: 1 } } } }, { __graph: true, root: 1, nodes: {} }, { __ref: 'x' }),
);
const bodies = fc.tuple(tree(fc.oneof(scalars, scalars, marked)), fc.boolean(), fc.boolean(), fc.constantFrom('', ' ', '\ufeff', ',', '\u0000'))
  .map(([value, wrapped, escaped, garbage]) => {
    const text = JSON.stringify(wrapped ? { input: value } : value);
    // Broken texts are rare, so that most of the work goes into those that are not.
    return (escaped && !text.includes('\\') ? escapeSome(text) : text) + (garbage === ' ' ? ' ' : garbage !== '' && text.length % 7 === 0 ? garbage : '');
  });

const seen = r.task('app.seen').run(async (input) => inspect(input, { depth: 12, showHidden: true })).build();
const inputOf = (value) => (typeof value === 'object' && value !== null && Object.hasOwn(value, 'input') ? value.input : value);

onBothDrivers('bodies', (driver) => {
  it('mean what the serializer says', () => withApp(exposuresFor(driver).fastTunnel, { items: [seen] }, async ({ url, services: { serializer } }) => {
    const check = async (body) => {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body;
      const response = await fetch(`${url}/task/app.seen`, { method: 'POST', body: bytes, headers: { 'x-runner-token': TOKEN } });
      const answer = await response.json();
      let expected;
      try {
        expected = { ok: true, result: inspect(inputOf(serializer.parse(bytes.toString('utf8'))), { depth: 12, showHidden: true }) };
      } catch {
        expected = { ok: false, error: { message: 'Invalid JSON body', code: 'INVALID_JSON' } };
      }
      assert.deepEqual(answer, expected, inspect(bytes.toString('utf8')));
    };
    for (const body of ['{"a":1e999}', '{"a":-0}', '[1e400,-1e400]', '"\\ud800"', '{"a":123456789012345678901}', `${'['.repeat(1001)}${']'.repeat(1001)}`, `${'['.repeat(1002)}${']'.repeat(1002)}`, '\ufeff1', '{"__proto__":{"x":1},"a":{"constructor":1}}', '{"\\u005f_type":"Date","value":0}', '{"$runner.escape::__type":1}']) await check(body);
    for (const bytes of [[0x22, 0xff, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0xef, 0xbb, 0xbf, 0x31], [0x22, 0xc3, 0x22], [0x5b, 0x22, 0xf0, 0x9f, 0x98, 0x22, 0x5d]]) await check(Buffer.from(bytes));
    await fc.assert(fc.asyncProperty(bodies, check), { numRuns: RUNS.numRuns / 3 });
  }));
});
