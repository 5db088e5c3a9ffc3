// A shard that fails as a whole: the process lives, the handlers' signals abort, the shard begins again, the application
// is told; and when it fails again and again, the tunnel closes and says so.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { cannotSabotage, sabotage } from './support/sabotage.mjs';
import { callTask, onBothDrivers, sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const skip = cannotSabotage;
/** `SHARD_RESTARTS` of the engine. */
const RESTARTS = 10;

const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);

onBothDrivers('shards that fail', (driver) => {
  /** A tunnel whose errors are kept. */
  const withErrors = (options, body) => {
    const errors = [];
    return withTunnel({ driver, shards: 1, onError: (error, { id }) => errors.push([error.name, error.code, id]), ...options }, (tunnel) => body(tunnel, errors));
  };

  /** Ends the shard; resolves when its connections have. */
  async function fail(tunnel, shard) {
    const socket = await RawSocket.connect(tunnel);
    sabotage(shard);
    await socket.write(taskBytes('echo', 1));
    await socket.end();
  }

  it('the calls are aborted, the application is told, and it goes on', { skip }, async () => {
    let aborted = 0;
    let settle = [];
    const tasks = {
      echo: (input) => input,
      wait: (_input, { signal }) => new Promise((resolve) => {
        settle.push(() => resolve('too late'));
        signal.addEventListener('abort', () => (aborted += 1), { once: true });
      }),
      count: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
      drip: async function* (_input, { signal }) { while (!signal.aborted) { yield 'drop'; await sleep(2); } },
    };
    await withErrors({ tasks }, async (tunnel, errors) => {
      const waiting = await Promise.all(Array.from({ length: 20 }, () => RawSocket.connect(tunnel)));
      for (const socket of waiting) await socket.write(taskBytes('wait', 1));
      const upload = await RawSocket.connect(tunnel);
      await upload.write('POST /__runner/task/count HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 100000\r\n\r\nsome');
      const download = await RawSocket.connect(tunnel);
      await download.write(taskBytes('drip', 1));
      await until(() => tunnel.stats().live === 22 && download.rest.includes('drop'), 'all are under way');
      assert.deepEqual(await uncaught(() => fail(tunnel)), []);
      for (const socket of [...waiting, upload, download]) await socket.end();
      assert.ok(!download.rest.endsWith('0\r\n\r\n'), 'a stream that is cut does not look complete');
      await until(() => aborted === 20, 'every signal aborts');
      await until(() => tunnel.stats().live === 20, 'streams are over');
      assert.deepEqual(errors.filter(([name]) => name === 'ShardError'), [['ShardError', 'FASTTUNNEL_SHARD_RESTARTED', '(shard)']]);
      // The answers of before find nobody, and those of now everybody.
      const calls = Array.from({ length: 30 }, (_, index) => callTask(tunnel, 'echo', index));
      settle.forEach((late) => late());
      const answers = await Promise.all(calls);
      assert.deepEqual(answers.map(({ text }) => JSON.parse(text).result), Array.from({ length: 30 }, (_, index) => index));
      assert.deepEqual([sum(tunnel, 'restarts'), tunnel.stats().failedShards], [1, 0]);
      await until(() => tunnel.stats().live === 0, 'nothing is left');
    });
  });

  it('in traffic, with others around: every answer is the right one or none', { skip }, () => withErrors({ shards: 2, tasks: { echo: (input) => input, slow: async (input) => { await sleep(5); return input; } } }, async (tunnel) => {
    let over = false;
    let right = 0;
    let cut = 0;
    const client = async (number) => {
      for (let round = 0; !over; round += 1) {
        const socket = await RawSocket.connect(tunnel);
        try {
          for (let index = 0; index < 50 && !over; index += 1) {
            const input = `${number}-${round}-${index}`;
            await socket.write(taskBytes(index % 2 === 0 ? 'echo' : 'slow', input));
            const { status, body } = await socket.answer();
            assert.deepEqual([status, JSON.parse(body).result], [200, input]);
            right += 1;
          }
        } catch (error) {
          if (!/closed while waiting/.test(error.message)) throw error;
          cut += 1;
        }
        socket.destroy();
      }
    };
    const clients = Array.from({ length: 16 }, (_, number) => client(number));
    for (let round = 1; round <= 6; round += 1) {
      await sleep(50);
      sabotage(round % 2);
      await until(() => sum(tunnel, 'restarts') === round, 'it begins again');
    }
    await sleep(50);
    over = true;
    await Promise.all(clients);
    assert.ok(right > 100 && cut > 6, `${right} right, ${cut} cut`);
    await until(() => sum(tunnel, 'connections') === 0 && tunnel.stats().live === 0, 'nothing is left');
  }));

  it('again and again: the tunnel closes and says so', { skip }, () => withErrors({ shards: 2, drainTimeoutMs: 2000, tasks: { echo: (input) => input } }, async (tunnel, errors) => {
    const { port } = tunnel;
    for (let round = 1; round <= RESTARTS; round += 1) {
      await fail(tunnel, 0);
      await until(() => sum(tunnel, 'restarts') === round, 'it begins again');
    }
    await fail(tunnel, 0);
    await until(() => errors.some(([, code]) => code === 'FASTTUNNEL_SHARD_FAILED'), 'it says so');
    await tunnel.close();
    assert.equal(tunnel.stats().failedShards, 1);
    const socket = (await import('node:net')).connect(port, '127.0.0.1');
    const [error] = await once(socket, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
  }));
});
