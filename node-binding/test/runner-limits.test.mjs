// The limits that stand under `engine` in a Runner app: each reaches the engine, beside those of `http.limits`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fastTunnel } from 'fasttunnel/runner';
import { afterwards, expectBound, expectTime } from './support/bounds.mjs';
import { postBytes, RawSocket } from './support/raw-socket.mjs';
import { exposuresFor, QUIET, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers } from './support/tunnels.mjs';

const { r } = R;
const echo = r.task('app.tasks.echo').run(async () => 'fine').build();

onBothDrivers('limits in a Runner app', (driver) => {
  const limited = (limits, body, http = {}) => withApp(exposuresFor(driver).fastTunnel, { items: [echo], http, engine: { shards: 1, limits } }, ({ port }) => body({ host: '127.0.0.1', port }));
  const call = (body, headers) => postBytes('/__runner/task/app.tasks.echo', body, { 'x-runner-token': TOKEN, ...headers });
  const withTarget = (bytes, body = '1') => call(body).replace('app.tasks.echo', `app.tasks.echo?${'x'.repeat(bytes - '/__runner/task/app.tasks.echo?'.length)}`);

  it('a request target may fill the head, as in node:http: 431', () => limited({}, async (tunnel) => {
    const around = call('').length - '/__runner/task/app.tasks.echo'.length;
    await expectBound(tunnel, 16_384, (bytes) => withTarget(bytes - around, ''), '431, closed');
  }));

  it('unless it has a bound of its own: 431', () => limited({ maxTargetBytes: 100 }, (tunnel) => expectBound(tunnel, 100, withTarget, '431, closed')));

  it('maxHeaders: 431', () => limited({ maxHeaders: 10 }, (tunnel) => (
    expectBound(tunnel, 10, (lines) => call('1').replace('\r\n\r\n', `\r\n${'X: y\r\n'.repeat(lines - 4)}\r\n`), '431, closed')
  )));

  it('maxJsonDepth: 400', () => limited({ maxJsonDepth: 3 }, (tunnel) => (
    expectBound(tunnel, 3, (depth) => call(`${'['.repeat(depth)}1${']'.repeat(depth)}`), '400, open', { first: 3 })
  )));

  it('maxChunkExtensionBytes: 413, and maxTrailerBytes: 431', () => limited({ maxChunkExtensionBytes: 10, maxTrailerBytes: 10 }, async (tunnel) => {
    const chunked = (text) => call(text, { 'content-length': undefined, 'transfer-encoding': 'chunked' });
    await expectBound(tunnel, 10, (bytes) => chunked(`1;${'x'.repeat(bytes - 1)}\r\n1\r\n0\r\n\r\n`), '413, closed');
    await expectBound(tunnel, 10, (bytes) => chunked(`1\r\n1\r\n0\r\nX:${'y'.repeat(bytes - 4)}\r\n\r\n`), '431, closed');
  }));

  it('maxRequestsPerConnection', () => limited({ maxRequestsPerConnection: 2 }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    for (const connection of ['keep-alive', 'close']) {
      await socket.write(call('1'));
      const { status, headers } = await socket.answer();
      assert.deepEqual([status, headers.connection], [200, connection]);
    }
    assert.equal(await afterwards(socket, 'done'), 'done, closed');
    socket.destroy();
  }));

  it('minBodyBytesPerS and maxBodyTimeMs: 408', async () => {
    for (const [limits, text] of [[{ bodyTimeoutMs: 100, minBodyBytesPerS: 100 }, '1'.repeat(50)], [{ bodyTimeoutMs: 100, minBodyBytesPerS: 1, maxBodyTimeMs: 600 }, '1'.repeat(50)]]) {
      await limited(limits, (tunnel) => expectTime(600, async () => {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(call('', { 'content-length': 1000 }));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await socket.write(text);
        assert.equal((await socket.answer()).status, 408);
        socket.destroy();
      }));
    }
  });

  it('beside http.limits', () => limited({ maxJsonDepth: 3 }, (tunnel) => expectBound(tunnel, 100, (bytes) => call(`"${'x'.repeat(bytes - 2)}"`), '413, open'), { limits: { json: { maxSize: 100 } } }));
});

describe('limits that a Runner app cannot have', () => {
  const refused = {
    'more header lines than the table has': [{ maxHeaders: 101 }, /engine\.limits\.maxHeaders must be an integer from 1 to 100 \(header lines\), got 101\. The default is 100/],
    'a mistyped one': [{ maxJsonDeph: 5 }, /engine\.limits\.maxJsonDeph is not an option\. Did you mean engine\.limits\.maxJsonDepth\?/],
    'one of bodies': [{ maxBodyBytes: 5 }, /engine\.limits\.maxBodyBytes is not an option\. Did you mean http\.limits\.json\.maxSize\?/],
    'the same by another name': [{ json: { maxSize: 5 } }, /engine\.limits\.json is not an option\. Did you mean http\.limits\.json\?/],
    'one of forms': [{ multipart: {} }, /engine\.limits\.multipart is not an option\. Did you mean http\.limits\.multipart\?/],
  };
  for (const [what, [limits, message]] of Object.entries(refused)) {
    it(what, () => assert.rejects(R.run(r.resource('app').register([fastTunnel.with({ http: { listen: { port: 0 } }, engine: { limits } })]).build(), QUIET), message));
  }
});
