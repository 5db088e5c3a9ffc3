// A slow reader at either end costs a bounded amount of memory. `make streams-memory` does the same with 2 GiB.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { measure } from '../bench/memory.mjs';
import { onBothDrivers } from './support/tunnels.mjs';

const MIB = 2 ** 20;
const BOUND = 8 * MIB;

onBothDrivers('back-pressure', (driver) => {
  it('96 MiB up and down at 24 MiB/s: the process grows by less than 8 MiB', { timeout: 60_000 }, async () => {
    const { upload, download } = await measure('ours', { driver, bytes: 96 * MIB, rate: 24 * MIB });
    assert.ok(upload < BOUND && download < BOUND, `upload ${(upload / MIB).toFixed(1)} MiB, download ${(download / MIB).toFixed(1)} MiB`);
  });
});
