// loadtest/soak in short: mixed traffic, every answer checked byte for byte, every call counted. FASTTUNNEL_SOAK_SEED
// repeats a run; `make soak` is the long one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assess } from '../../loadtest/soak/assess.mjs';
import { checkBooks } from '../../loadtest/soak/books.mjs';
import { Ledger, MAYBE, NEVER, ONCE } from '../../loadtest/soak/ledger.mjs';
import { soak } from '../../loadtest/soak/soak.mjs';
import { onBothDriversAtOnce } from './support/tunnels.mjs';

const SECONDS = 30;
const SEED = Number(process.env.FASTTUNNEL_SOAK_SEED ?? Date.now() % 1_000_000);
/** Half a minute does not show whether it grows by 2%, as `make soak` does; a body that is kept each time would show. */
const MOST_GROWTH = 0.1;

/** Where calls run elsewhere: to see that each has its own answer, not what is kept. */
const SHORT_SECONDS = 8;
const MOST_SHORT_GROWTH = 0.5;

async function soaked(options, mostGrowth) {
  const result = await soak({ seed: SEED, ...options });
  const { wrong, summary } = assess(result, mostGrowth);
  console.log(summary);
  assert.deepEqual(wrong, []);
  return result;
}

onBothDriversAtOnce('soak', (driver) => {
  it(`nothing is lost and nothing is doubled (seed ${SEED})`, { timeout: 180_000 }, async () => {
    const result = await soaked({ driver, seconds: SECONDS }, MOST_GROWTH);
    const { kinds, behaviours, statuses } = result.tally;
    for (const kind of ['small', 'large', 'failing', 'event', 'download', 'upload', 'through', 'form', 'unread', 'refused', 'malformed', 'broken']) assert.ok(kinds[kind] > 0, `no ${kind}`);
    assert.ok(Object.keys(behaviours).length === 11, `only ${Object.keys(behaviours)}`);
    for (const status of [200, 400, 401, 409, 500]) assert.ok(statuses[status] > 0, `no ${status}`);
  });
});

for (const [where, options] of [['inline', { placement: 'inline' }], ['with workers', { workers: 2 }]]) {
  onBothDriversAtOnce(`soak ${where}`, (driver) => {
    it(`nothing is lost and nothing is doubled (seed ${SEED})`, { timeout: 120_000 }, () => soaked({ driver, seconds: SHORT_SECONDS, ...options }, MOST_SHORT_GROWTH));
  });
}

describe('the soak itself', () => {
  it('sees a handler that runs twice, never, too late or uncalled', () => {
    const cases = { [ONCE]: [0, 2], [NEVER]: [1], [MAYBE]: [2] };
    for (const [fate, runs] of Object.entries(cases)) {
      for (const times of runs) {
        const ledger = new Ledger();
        ledger.open('a', 'small');
        for (let count = 0; count < times; count += 1) ledger.ran('a');
        ledger.settle('a', fate);
        assert.equal(ledger.close().length, 1, `${fate}, ${times} runs`);
      }
    }
    const ledger = new Ledger();
    ledger.open('a', 'small');
    ledger.ran('a');
    ledger.settle('a', ONCE);
    assert.deepEqual(ledger.close(), []);
    ledger.ran('a');
    assert.equal(ledger.close().length, 1, 'a late run');
  });

  it('sees counters that do not add up', () => {
    const total = { connections: 0, inFlight: 0, accepted: 2, turnedAway: 0, calls: 3, answered: 2, abandoned: 1, overloaded: 0, shed: 0, handlerTimeouts: 0, cutAnswers: 0, panics: 0, hostErrors: 0 };
    const tally = { opened: 2, fromHandlers: 2, broken: 0, statuses: {} };
    const books = (change) => checkBooks({ quiet: true, live: 0, failedShards: 0, total: { ...total, ...change } }, tally, { begun: 3 });
    assert.deepEqual(books({}), []);
    for (const change of [{ calls: 4 }, { answered: 1, abandoned: 2 }, { accepted: 1 }, { panics: 1 }]) assert.equal(books(change).length, 1, JSON.stringify(change));
  });
});
