// Connections spread over the shards, whatever way of accepting achieves it.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

onBothDrivers('balance', (driver) => {
  it('16 keep-alive connections on 4 shards: every shard has 2 to 6 of them', () => withTunnel({ driver, shards: 4, tasks: { add: ({ a, b }) => a + b } }, async (tunnel) => {
    for (let round = 0; round < 3; round++) {
      const sockets = await Promise.all(Array.from({ length: 16 }, () => RawSocket.connect(tunnel)));
      for (const socket of sockets) {
        await socket.write(taskBytes('add', { a: 1, b: 2 }));
        assert.equal((await socket.answer()).status, 200);
      }
      const perShard = tunnel.stats().shards.map(({ connections }) => connections);
      assert.equal(perShard.length, 4);
      assert.equal(perShard.reduce((sum, connections) => sum + connections), 16, perShard.join(' '));
      for (const connections of perShard) assert.ok(connections >= 2 && connections <= 6, `connections per shard: ${perShard.join(' ')}`);
      for (const socket of sockets) socket.destroy();
      await until(() => tunnel.stats().shards.every(({ connections }) => connections === 0), 'every connection is gone');
    }
  }));
});
