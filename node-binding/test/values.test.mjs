// The value rules: what of a body is the input, how `undefined` travels, and that the fast way to write a result
// and the careful way write the same bytes.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { codecOf, plainCodec } = require('../dist/cjs/values/codec.js');
const { inputOf, payloadOf, returnPayload, depthOfJson, depthOfValues } = require('../dist/cjs/values/values.js');

const RECORD = '{"__type":"Undefined","value":null}';
const nested = (depth, leaf = '') => `${'['.repeat(depth)}${leaf}${']'.repeat(depth)}`;
const nestedArrays = (depth) => {
  let value = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
};

describe('input and payload of a body', () => {
  it('takes an own key "input", otherwise the value itself', () => {
    const array = Object.assign([1], { input: 2 });
    const inherited = Object.create({ input: 1 });
    assert.equal(inputOf({ input: 1, other: 2 }), 1);
    assert.equal(inputOf({ input: undefined }), undefined);
    assert.equal(inputOf(array), 2);
    for (const value of [{}, { a: 1 }, [1], 5, 'input', null, undefined, true, inherited]) assert.equal(inputOf(value), value);
  });

  it('takes the payload of objects only', () => {
    assert.deepEqual(payloadOf({ payload: { m: 1 } }), { m: 1 });
    for (const value of [{}, [1], 5, 'x', null, undefined, true]) assert.equal(payloadOf(value), undefined);
  });

  it('reads returnPayload by truthiness', () => {
    for (const value of [true, 1, 'false', {}, []]) assert.equal(returnPayload({ returnPayload: value }), true);
    for (const value of [false, 0, '', null, undefined]) assert.equal(returnPayload({ returnPayload: value }), false);
    for (const value of [undefined, null, 5, []]) assert.equal(returnPayload(value), false);
    assert.equal(returnPayload(plainCodec.parse(`{"returnPayload":${RECORD}}`)), false);
  });
});

describe('reviving', () => {
  it('turns records of undefined back, at every level', () => {
    assert.equal(plainCodec.parse(RECORD), undefined);
    assert.equal(plainCodec.parse('{"__type":"Undefined","value":5,"extra":1}'), undefined);
    assert.deepEqual(plainCodec.parse(`{"a":${RECORD},"b":[${RECORD},1],"c":{"d":${RECORD}}}`), { a: undefined, b: [undefined, 1], c: { d: undefined } });
    assert.ok(Object.hasOwn(plainCodec.parse(`{"a":${RECORD}}`), 'a'));
  });

  it('leaves alone what only looks like one', () => {
    for (const text of ['{"__type":"Undefined"}', '{"__type":["Undefined"],"value":null}', '{"__type":"Date","value":"1970-01-01T00:00:00.000Z"}', '{"value":null}']) {
      assert.deepEqual(plainCodec.parse(text), JSON.parse(text));
    }
  });

  it('drops keys that could reach a prototype', () => {
    const value = plainCodec.parse('{"__proto__":{"polluted":1},"a":[{"constructor":1,"b":{"prototype":2,"c":3}}],"input":{"__proto__":[]}}');
    assert.deepEqual(Object.keys(value), ['a', 'input']);
    assert.deepEqual(Object.keys(value.a[0]), ['b']);
    assert.deepEqual(value.a[0].b, { c: 3 });
    assert.equal(value.polluted, undefined);
    assert.equal(Object.getPrototypeOf(value.input), Object.prototype);
    assert.equal({}.polluted, undefined);
  });

  it('does not mind depth', () => {
    const value = plainCodec.parse(nested(1001, RECORD));
    let depth = 0;
    let inner = value;
    for (; Array.isArray(inner); inner = inner[0]) depth++;
    assert.equal(depth, 1001);
    assert.equal(inner, undefined);
    const text = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`;
    assert.equal(typeof plainCodec.parse(text), 'object');
  });
});

describe('writing results', () => {
  const ALIKE = [null, 0, -0, 1.5, 1e21, NaN, Infinity, 'x', '\ud800', '"\\\u2028', true, [], {}, [1, [2]], { a: { b: [] } }, { a: () => {}, b: Symbol('s') }, [Symbol('s')], Object.create(null), Object.create({ inherited: 1 })];
  for (const value of ALIKE) {
    it(`writes ${JSON.stringify(value)} the same both ways, and calls it plain`, () => {
      assert.equal(plainCodec.isPlain(value), true);
      assert.equal(plainCodec.stringify(value), JSON.stringify(value));
    });
  }

  it('writes undefined as a record', () => {
    class Point { x = undefined; y = 1; }
    const cases = [
      [undefined, RECORD],
      [{ a: undefined }, `{"a":${RECORD}}`],
      [[undefined], `[${RECORD}]`],
      [new Array(1), `[${RECORD}]`],
      [new Point(), `{"x":${RECORD},"y":1}`],
      [{ a: [{ b: undefined }], c: 1n.constructor }, `{"a":[{"b":${RECORD}}]}`],
    ];
    for (const [value, text] of cases) {
      assert.equal(plainCodec.isPlain(value), false);
      assert.equal(plainCodec.stringify(value), text);
      assert.deepEqual(plainCodec.stringify(plainCodec.parse(text)), text);
    }
  });

  it('follows JSON.stringify for everything else', () => {
    for (const value of [new Date(0), new Date(NaN), { at: new Date(0) }, new Map([[1, 2]]), new Set([1]), /x/, new Error('x'), Buffer.from('ab'), new Uint8Array(2), Object('boxed'), Object(1), { toJSON: () => 5 }, [{ toJSON: () => ({ a: 1 }) }], Object.assign(() => {}, { toJSON: () => 'f' })]) {
      assert.equal(plainCodec.stringify(value), JSON.stringify(value));
    }
  });

  it('looks at own members only', () => {
    const prototype = { nothing: undefined, get bad() { throw new Error('read'); } };
    for (const value of [Object.create(prototype), Object.assign(Object.create(prototype), { a: [1] }), [Object.assign(Object.create(Object.create(prototype)), { b: {} })]]) {
      assert.equal(plainCodec.isPlain(value), true);
      assert.equal(plainCodec.stringify(value), JSON.stringify(value));
    }
    const own = Object.assign(Object.create(prototype), { a: undefined });
    assert.equal(plainCodec.isPlain(own), false);
    assert.equal(plainCodec.stringify(own), `{"a":${RECORD}}`);
  });

  it('throws for what has no JSON form', () => {
    const cycle = {};
    cycle.self = cycle;
    const shared = [cycle];
    const evil = new Proxy({}, { get() { throw new Error('trap'); }, ownKeys() { throw new Error('trap'); } });
    for (const value of [cycle, shared, 1n, [1n], { a: { b: 1n } }, Object(1n), () => {}, Symbol('s'), class {}, { toJSON() { throw new Error('x'); } }, { get a() { throw new Error('x'); } }, evil, [evil]]) {
      assert.throws(() => plainCodec.stringify(value));
      let plain = false;
      try { plain = plainCodec.isPlain(value); } catch { /* contained by the caller */ }
      assert.equal(plain, false);
    }
  });

  it('throws for objects of fetch, which JSON.stringify empties, and says what to return', () => {
    for (const [value, what] of [
      [new Headers([['a', 'b']]), /a Headers in a result has no JSON form, only \{\}: return Object\.fromEntries\(headers\)/], [new URLSearchParams('a=b'), /a URLSearchParams .* Object\.fromEntries\(params\)/], [new FormData(), /a FormData /],
      [new Request('http://localhost'), /a Request /], [new Response('x'), /a Response .*await response\.json\(\)/], [new ReadableStream(), /a ReadableStream /], [new Blob(['x']), /a Blob .*the member `stream`/], [new File(['x'], 'f'), /a File /],
    ]) {
      for (const result of [value, { a: value }, [1, [value]], { gone: undefined, b: [{ c: value }] }]) {
        assert.equal(plainCodec.isPlain(result), false);
        assert.throws(() => plainCodec.stringify(result), what);
      }
    }
    // What has members of its own, or says how it is written, is written.
    for (const value of [{ [Symbol.toStringTag]: 'Headers' }, Object.assign(new Headers(), { own: 1 }), Object.assign(new Response('x'), { toJSON: () => ({ mine: {} }) }), { empty: {}, at: new Date(0) }]) {
      assert.equal(plainCodec.stringify(value), JSON.stringify(value));
    }
  });

  it('ends at the depth of the contract', () => {
    assert.equal(plainCodec.stringify(nestedArrays(999)), nested(999));
    for (const depth of [1000, 1500, 100_000]) assert.throws(() => plainCodec.stringify(nestedArrays(depth)), RangeError);
    const undefinedAt = (depth) => { let value = undefined; for (let level = 0; level < depth; level++) value = [value]; return value; };
    assert.equal(plainCodec.stringify(undefinedAt(998)), nested(998, RECORD));
    assert.throws(() => plainCodec.stringify(undefinedAt(999)), RangeError);
  });

  it('gives up early on large results inside a batch', () => {
    assert.equal(plainCodec.isPlain(Array.from({ length: 100_000 }, (_, index) => index)), false);
    assert.equal(plainCodec.isPlain(nestedArrays(100)), false);
    const wide = Array.from({ length: 100_000 }, (_, index) => ({ index }));
    assert.equal(plainCodec.stringify(wide), JSON.stringify(wide));
  });

  it('notices a polluted prototype', () => {
    Object.prototype.toJSON = () => 'polluted';
    try {
      assert.equal(plainCodec.isPlain({}), false);
    } finally {
      delete Object.prototype.toJSON;
    }
  });
});

describe('randomised', () => {
  // A small generator with a seed of its own: a failure can be repeated.
  const random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const KEYS = ['a', 'b', '0', '10', 'input', 'payload', 'value', '__type', 'key with "quotes"', '\u00e9', ''];
  const LEAVES = [null, true, 0, -1.5, NaN, 'text', '\ud83d\ude00', '\udc00', 'Undefined', 1e300];
  const SPECIAL = [undefined, () => {}, Symbol('s'), new Date(5), Object(3), new Map(), { toJSON: () => undefined }, { toJSON: () => [undefined] }];
  const make = (next, depth, special) => {
    const pick = next();
    if (special && pick < 0.12) return SPECIAL[Math.floor(next() * SPECIAL.length)];
    if (depth === 0 || pick < 0.5) return LEAVES[Math.floor(next() * LEAVES.length)];
    const size = Math.floor(next() * 5);
    if (pick < 0.75) return Array.from({ length: size }, () => make(next, depth - 1, special));
    const object = {};
    for (let count = 0; count < size; count++) object[KEYS[Math.floor(next() * KEYS.length)]] = make(next, depth - 1, special);
    return object;
  };
  // The rule, written the slow and obvious way.
  const oracle = (value) => JSON.stringify([value], (_key, member) => (member === undefined ? { __type: 'Undefined', value: null } : member)).slice(1, -1);

  it('what is plain is written as JSON.stringify writes it', () => {
    let plain = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const value = make(random(seed), 5, seed % 2 === 0);
      const careful = typeof value === 'function' || typeof value === 'symbol' ? undefined : plainCodec.stringify(value);
      if (careful !== undefined) assert.equal(careful, oracle(value), `seed ${seed}`);
      if (!plainCodec.isPlain(value)) continue;
      plain++;
      assert.equal(JSON.stringify(value), careful, `seed ${seed}`);
      assert.equal(JSON.stringify([value, value]), `[${careful},${careful}]`, `seed ${seed}`);
    }
    assert.ok(plain > 1500, `${plain} of 4000 were plain`);
  });

  it('the depth of the deepest value is found in the text', () => {
    const deepest = (value) => (typeof value !== 'object' || value === null ? 0 : Math.max(0, ...Object.values(value).map((member) => 1 + deepest(member))));
    for (let seed = 0; seed < 2000; seed++) {
      const text = plainCodec.stringify(make(random(seed), 5, false));
      for (const spelled of [text, JSON.stringify(JSON.parse(text), null, 2)]) assert.equal(depthOfValues(spelled), deepest(JSON.parse(text)), spelled);
    }
    for (const [text, depth] of [['1', 0], ['[]', 0], ['[ \n]', 0], ['{"[": []}', 1], ['["\\"[[", 1]', 1], ['[[],[[]]]', 2]]) assert.equal(depthOfValues(text), depth, text);
  });

  it('what was written comes back', () => {
    for (let seed = 0; seed < 2000; seed++) {
      const text = plainCodec.stringify(make(random(seed), 5, false));
      assert.equal(JSON.stringify(JSON.parse(text)), text);
      const twice = plainCodec.parse(`[${text},${RECORD},{"k":${RECORD}}]`);
      assert.equal(plainCodec.stringify(twice[0]), plainCodec.stringify(plainCodec.parse(text)), `seed ${seed}`);
      assert.equal(twice[1], undefined);
    }
  });

  it('counts depth as JSON.parse sees it', () => {
    const depthOf = (value) => (typeof value !== 'object' || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf)));
    for (let seed = 0; seed < 1000; seed++) {
      const text = plainCodec.stringify(make(random(seed), 6, false));
      assert.equal(depthOfJson(text), depthOf(JSON.parse(text)), text);
    }
    assert.equal(depthOfJson('["[[\\"[["]'), 1);
  });
});

describe('with a serializer', () => {
  const { Serializer } = require('@bluelibs/runner');
  const codec = codecOf(new Serializer());

  it('keeps typed values both ways', () => {
    const value = { at: new Date(0), map: new Map([['k', new Set([1n])]]), nothing: undefined };
    const text = codec.stringify(value);
    assert.match(text, /"__type":"Date"/);
    assert.deepEqual(codec.parse(text), value);
    assert.deepEqual(codec.revive(JSON.parse(text)), value);
    assert.equal(codec.exact, true);
    assert.equal(codec.isPlain(value), false);
  });

  it('writes undefined as the plain codec does', () => {
    assert.equal(codec.stringify(undefined), RECORD);
    assert.equal(codec.stringify({ a: [undefined] }), plainCodec.stringify({ a: [undefined] }));
  });

  it('does not take nothing for text', () => {
    const broken = codecOf({ parse: JSON.parse, stringify: () => undefined });
    assert.throws(() => broken.stringify(1), /not a string/);
  });
});
