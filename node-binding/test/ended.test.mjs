// Shards that end by themselves: the tunnel can still be closed.
import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';

// A tunnel that could not be closed would keep this process alive.
after(() => { setTimeout(() => process.exit(), 500).unref(); });

it('close() resolves when every shard has ended before it', { timeout: 5000 }, async () => {
  process.env.FASTTUNNEL_NATIVE_PATH = fileURLToPath(new URL('fixtures/ended-addon.cjs', import.meta.url));
  const { fastTunnel } = await import('fasttunnel');
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, driver: 'epoll' });
  assert.equal(tunnel.stats().failedShards, 1);
  await tunnel.close();
});
