// A slow reader at either end costs a bounded amount of memory. `make streams-memory` does the same with 2 GiB.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { measure } from '../bench/memory.mjs';
import { onBothDrivers } from './support/tunnels.mjs';

const MIB = 2 ** 20;
const BOUND = 8 * MIB;

onBothDrivers('back-pressure', (driver) => {
  it('96 MiB up and down at 24 MiB/s: the process grows by less than 8 MiB', { timeout: 100_000 }, async () => {
    let worst;
    // What an allocator gives back in the moment of the first look is counted as growth afterwards: at most three tries.
    for (let attempt = 0; attempt < 3; attempt++) {
      const { upload, download } = await measure('ours', { driver, bytes: 96 * MIB, rate: 24 * MIB });
      if (upload < BOUND && download < BOUND) return;
      worst = `upload ${(upload / MIB).toFixed(1)} MiB, download ${(download / MIB).toFixed(1)} MiB`;
    }
    assert.fail(worst);
  });
});
