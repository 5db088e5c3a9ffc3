// Shards that end by themselves: the tunnel can still be closed.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, it } from 'node:test';
import { fastTunnel } from 'fasttunnel';

const require = createRequire(import.meta.url);

// A tunnel that could not be closed would keep this process alive.
after(() => { setTimeout(() => process.exit(), 500).unref(); });

it('close() resolves when every shard has ended before it', { timeout: 5000 }, async () => {
  require('../dist/cjs/native/addon.js').addon().NativeTunnel = require('./fixtures/ended-tunnel.cjs').NativeTunnel;
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, driver: 'epoll' });
  assert.equal(tunnel.stats().failedShards, 1);
  await tunnel.close();
});
