// Ends shards of tunnels, with an addon that `make build-test` has built: the one that ships cannot do it.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const native = require('../../dist/cjs/native/addon.js').addon();
const { NativeTunnel } = native;

let last;
native.NativeTunnel = class extends NativeTunnel {
  constructor(...args) {
    super(...args);
    last = this;
  }
};

/** Why there is nothing to test with, or false. */
export const cannotSabotage = NativeTunnel.prototype.sabotage === undefined && 'this addon ships: it has no way to end a shard';

/** The next call that comes over this shard of the tunnel that was opened last ends the shard. */
export const sabotage = (shard = 0) => last.sabotage(shard);
