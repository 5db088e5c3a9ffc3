// Values that are more than JSON: regular expressions of a caller's making, and errors as results.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { exposuresFor, post as postTo, R, withApp } from './support/runner-apps.mjs';
import { callTask, onBothDrivers, post, withTunnel } from './support/tunnels.mjs';

const record = (pattern, flags = '') => JSON.stringify({ __type: 'RegExp', value: { pattern, flags } });

/** What takes for ever against "aaaa…!", or makes the one slow who looks for that. */
const HOSTILE = [
  '(a+)+$', '^(a+)+$', '(a*)*$', '(a|a)*$', '(a|aa)+$', '(.*)*x', '([a-zA-Z]+)*$', '((a+)b?)+$', '(?:a+){10}$', 'a*a*a*a*a*a*a*a*b', '(a?){25}a{25}', '(\\w+\\s?)+$', '(?=(a+))\\1+$',
  '('.repeat(1024), '(a|'.repeat(341), '['.repeat(1024), '\\'.repeat(1023), '(?:'.repeat(200) + 'a' + ')+'.repeat(200), 'a{1,2}'.repeat(170), '(a|b)'.repeat(200), '(?<n>a)'.repeat(100), 'a'.repeat(1024), 'a'.repeat(1025), '*', '(?',
];
const TEXT = `${'a'.repeat(100_000)}!`;

/** CPU time of this process in milliseconds. */
async function cpuMs(run) {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Sends every pattern, in every place; returns what became of it. */
async function sendAll(send) {
  const outcomes = { refused: [], inert: [] };
  for (const pattern of HOSTILE) {
    const [regexp, text] = [record(pattern), JSON.stringify(TEXT)];
    for (const body of [regexp, `{"input":${regexp}}`, `{"input":{"deep":[${regexp}],"text":${text}}}`, `{"input":{"__type":"Map","value":[[${regexp},${text}]]}}`]) {
      let answer;
      const ms = await cpuMs(async () => { answer = await send(body); });
      assert.ok(ms < 500, `${ms} ms for ${pattern.slice(0, 40)}`);
      if (answer.status === 400) outcomes.refused.push(pattern);
      else {
        assert.equal(answer.status, 200, `${pattern.slice(0, 40)}: ${answer.text}`);
        outcomes.inert.push(pattern);
      }
    }
  }
  return outcomes;
}

/** The patterns in it, none of which was ever used. */
function regExpsIn(value) {
  if (value instanceof RegExp) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return (value instanceof Map ? [...value].flat() : Object.values(value)).flatMap(regExpsIn);
}

onBothDrivers('typed values', (driver) => {
  it('a regular expression is a plain object without a serializer', () => withTunnel({ driver, tasks: { look: (input) => [Object.getPrototypeOf(input) === Object.prototype, input] } }, async (tunnel) => {
    const { text } = await post(tunnel, '/task/look', `{"input":${record('(a+)+$')}}`);
    assert.deepEqual(JSON.parse(text).result, [true, JSON.parse(record('(a+)+$'))]);
  }));

  it("regular expressions that could hang the process are refused by Runner's serializer, or lie there unused", () => {
    let seen = [];
    const look = (input) => { seen.push(...regExpsIn(input)); return 'looked'; };
    const check = ({ refused, inert }) => {
      for (const pattern of ['(a+)+$', '(a*)*$', '(a|aa)+$', '(.*)*x', '([a-zA-Z]+)*$', 'a'.repeat(1025), '*']) assert.equal(refused.filter((one) => one === pattern).length, 4, pattern);
      assert.ok(inert.length > 0 && seen.length === inert.length, `${seen.length} of ${inert.length}`);
      for (const one of seen) assert.equal(one.lastIndex, 0);
      seen = [];
    };
    return withTunnel({ driver, serializer: new R.Serializer(), tasks: { look } }, async (tunnel) => {
      check(await sendAll((body) => post(tunnel, '/task/look', body)));
      const { fastTunnel } = exposuresFor(driver);
      await withApp(fastTunnel, { items: [R.r.task('app.look').run(async (input) => look(input)).build()] }, async ({ url }) => {
        check(await sendAll((body) => postTo(url, '/task/app.look', body)));
      });
    });
  });

  const makeError = () => Object.assign(new TypeError('inner', { cause: new Error('why') }), { code: 'E_CODE' });
  const STACK = /typed-values\.test|node:|\bat \S+ \(|stack/;

  it('an error as a result has no stack', () => {
    const tasks = {
      bare: makeError, later: async () => makeError(), nested: () => ({ list: [makeError()], nothing: undefined }), aggregate: () => new AggregateError([makeError()], 'many'),
      thrown: () => { throw new TaskError('told', { data: { error: makeError() }, cause: makeError() }); },
    };
    return withTunnel({ driver, tasks }, async (tunnel) => {
      const fields = { code: 'E_CODE' };
      for (const [id, status, body] of [
        ['bare', 200, { ok: true, result: fields }], ['later', 200, { ok: true, result: fields }], ['aggregate', 200, { ok: true, result: {} }],
        ['nested', 200, { ok: true, result: { list: [fields], nothing: { __type: 'Undefined', value: null } } }],
        ['thrown', 500, { ok: false, error: { message: 'told', code: 'INTERNAL_ERROR', data: { error: fields } } }],
      ]) {
        const { status: got, text } = await callTask(tunnel, id, 1);
        assert.deepEqual([got, JSON.parse(text)], [status, body], id);
        assert.doesNotMatch(text, STACK, id);
      }
    });
  });

  it("an error as a result is what the serializer makes of it: Runner's writes the stack, here as in nodeExposure", () => withTunnel({ driver, serializer: new R.Serializer(), tasks: { bare: makeError } }, async (tunnel) => {
    const standalone = JSON.parse((await callTask(tunnel, 'bare', 1)).text).result;
    assert.deepEqual([standalone.__type, standalone.value.message, standalone.value.customFields], ['Error', 'inner', { code: 'E_CODE' }]);
    assert.match(standalone.value.stack, STACK);
    const app = { items: [R.r.task('app.bare').run(async () => makeError()).build()] };
    const { fastTunnel, nodeExposure } = exposuresFor(driver);
    const results = [];
    for (const exposure of [nodeExposure, fastTunnel]) {
      await withApp(exposure, app, async ({ url }) => {
        const { result } = JSON.parse((await postTo(url, '/task/app.bare', {})).text);
        assert.match(result.value.stack, STACK);
        // Each has a stack of its own, the cause as well.
        results.push(JSON.parse(JSON.stringify(result.value, (key, value) => (key === 'stack' ? 'STACK' : value))));
      });
    }
    assert.deepEqual(results[1], results[0]);
  }));
});
