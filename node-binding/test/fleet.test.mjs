// Three tunnels behind HAProxy, in short; `make fleet` does the same for longer, cuts off, and overloads.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { findHaproxy } from '../../loadtest/attacks/servers/haproxy.mjs';
import { draw } from '../../loadtest/fleet/chart.mjs';
import { fleet } from '../../loadtest/fleet/fleet.mjs';
import { table } from '../../loadtest/fleet/table.mjs';
import { reasonFor } from './support/programs.mjs';

it('behind HAProxy a restart loses no call, kill -9 at most those under way, one that hangs is out within 2 s, and each error is explained', { skip: reasonFor(findHaproxy), timeout: 60_000 }, async () => {
  const settings = { rate: 150, serviceMs: 5, mostCalls: 128, readinessMs: 1500, serverTimeoutMs: 2000, slowStartMs: 500, calmMs: 500, restarted: 1, rollingCalls: 1, faultMs: 800 };
  const { calls, phases, measured, wrong } = await fleet({ phases: ['calm', 'rolling', 'killed', 'hangs'], settings });
  assert.deepEqual(wrong, []);
  assert.deepEqual([...phases.keys()], ['calm', 'rolling', 'killed', 'hangs']);
  for (const [name, { sent, answered, refused }] of phases) {
    assert.equal(answered + refused, sent, name);
    assert.ok(answered > 0.8 * sent, `${name}: ${answered} of ${sent}`);
  }
  assert.equal(measured.rolling.restarts, 1);
  assert.match(table(phases, measured, settings), /\| kill -9 of one \| \d+ \| \d+ \|/);
  assert.match(draw(calls), /^<svg [^>]*>\n.*<polyline /s);
});
