// Reads the text formats of metrics systems, and insists on their rules.
import assert from 'node:assert/strict';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:[a-z_]+="(?:[^"\\\\\\n]|\\\\["\\\\n])*",?)*)\\})? (\\S+)$`);
const SUFFIXES = {
  openmetrics: { counter: ['_total'], gauge: [''], info: ['_info'], histogram: ['_bucket', '_count', '_sum'] },
  prometheus: { counter: [''], gauge: [''], histogram: ['_bucket', '_count', '_sum'] },
};

/** The samples of a text in one of the formats, by name and labels. */
export function answers(text, format) {
  const samples = new Map();
  const families = new Map();
  let family;
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'the last line is ended');
  if (format === 'openmetrics') assert.equal(lines.pop(), '# EOF');
  for (const line of lines) {
    const said = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.+)$`).exec(line);
    if (said !== null) {
      const [, what, name, value] = said;
      if (family?.name !== name) {
        assert.ok(!families.has(name), `${name} comes in one piece`);
        family = { name, samples: 0 };
        families.set(name, family);
      }
      assert.equal(family.samples, 0, `${line} stands before the samples`);
      assert.equal(family[what], undefined, `${line} stands once`);
      family[what] = value;
      if (what === 'UNIT') assert.ok(format === 'openmetrics' && name.endsWith(`_${value}`), line);
      continue;
    }
    const [, name, labels = '', number] = SAMPLE.exec(line) ?? assert.fail(`not a sample: ${line}`);
    const suffix = SUFFIXES[format][family.TYPE]?.find((end) => name === family.name + end);
    assert.notEqual(suffix, undefined, `${name} is of the family ${family.name}, ${family.TYPE}`);
    if (family.TYPE === 'counter') assert.match(name, /_total$/);
    else assert.doesNotMatch(name, /_total$/);
    assert.match(number, /^-?\d+(\.\d+)?(e[+-]?\d+)?$/);
    family.samples += 1;
    const key = labels === '' ? name : `${name}{${labels}}`;
    assert.ok(!samples.has(key), `${key} stands once`);
    samples.set(key, Number(number));
    if (suffix === '_bucket') checkBucket(family, labels, Number(number));
    if (suffix === '_count') assert.deepEqual(family.open, { series: labels, le: Infinity, count: Number(number) }, `${key} follows its last bucket and has its value`);
  }
  for (const { HELP, TYPE } of families.values()) assert.ok(HELP !== undefined && TYPE !== undefined);
  return samples;
}

/** Buckets of a series stand together, their bounds and counts grow, and the last is +Inf. */
function checkBucket(family, labels, count) {
  const [, series, bound] = /^(.*?),?le="([^"]+)"$/.exec(labels) ?? assert.fail(labels);
  const le = bound === '+Inf' ? Infinity : Number(bound);
  assert.ok(bound === '+Inf' || /^\d+\.\d+$/.test(bound), `${bound} is written as a float`);
  const before = family.open?.series === series ? family.open : { le: -Infinity, count: 0 };
  assert.ok(le > before.le && count >= before.count, `${labels} after ${JSON.stringify(before)}`);
  family.open = { series, le, count };
}
