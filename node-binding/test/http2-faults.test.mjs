// What a connection of HTTP/2 costs, and what becomes of it, when its client or the application does something odd.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Frames, headers, POST } from './support/http2.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const path = (id) => `/__runner/task/${id}`;
const many = (count, make) => Array.from({ length: count }, (_, at) => make(at));
const stream = (at) => 1 + 2 * at;
const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);
const tasks = {
  echo: (input) => input,
  wait: (_, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', () => resolve()); }),
};

onBothDrivers('HTTP/2 faults', (driver) => {
  it('half of a preface does not keep a connection', () => withTunnel({ driver, tasks, limits: { headTimeoutMs: 300 } }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write('PRI * HTTP/2.0\r\n\r\n');
    await until(() => sum(tunnel, 'http2Connections') === 1, 'its beginning');
    await until(() => socket.closed, 'the end');
    await until(() => sum(tunnel, 'http2Connections') === 0, 'nothing is left of it');
  }));

  it('streams of a connection that breaks off are counted no longer', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    frames.write(...many(3, (at) => headers(stream(at), POST(path('wait')))));
    await until(() => sum(tunnel, 'http2Streams') === 3, 'the streams');
    frames.socket.resetAndDestroy();
    await until(() => sum(tunnel, 'http2Connections') === 0, 'no connection');
    assert.equal(sum(tunnel, 'http2Streams'), 0);
  }));
});
