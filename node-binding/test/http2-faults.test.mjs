// What a connection of HTTP/2 costs, and what becomes of it, when its client or the application does something odd.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RawAnswer, task, withBridge } from './support/bridges.mjs';
import { callTask, CODES, data, frame, Frames, headers, POST, settings, TYPES, windowUpdate, withSession } from './support/http2.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const path = (id) => `/__runner/task/${id}`;
const many = (count, make) => Array.from({ length: count }, (_, at) => make(at));
const stream = (at) => 1 + 2 * at;
const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);
const tasks = {
  echo: (input) => input,
  wait: (_, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', () => resolve()); }),
  late: () => sleep(50),
  large: (bytes) => 'x'.repeat(bytes),
  count: async (_, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
};
const JSON_TYPE = ['content-type', 'application/json'];
const OCTETS = ['content-type', 'application/octet-stream'];

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

  it('a body may come as slowly as over HTTP/1.1, however its frames are cut', () => withTunnel({ driver, tasks, limits: { headTimeoutMs: 300 } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    const whole = data(1, Buffer.alloc(16_000), { end: true });
    frames.write(headers(1, POST(path('count'), OCTETS), { end: false }));
    for (let at = 0; at < whole.length; at += 1000) {
      frames.write(whole.subarray(at, at + 1000));
      await sleep(100);
    }
    const answer = await frames.frame(({ type }) => type === TYPES.data);
    assert.equal(answer?.payload.toString(), '{"ok":true,"result":16000}');
    frames.destroy();
  }));

  it('answers that wait for their connection are held', () => withTunnel({ driver, tasks, limits: { maxBufferedBytes: 1 << 20 } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel, { 4: 0 });
    const call = (at) => [headers(stream(at), POST(path('large'), JSON_TYPE), { end: false }), data(stream(at), '{"input":400000}', { end: true })];
    frames.write(...many(100, call).flat());
    await until(() => sum(tunnel, 'heldBytes') > 39_000_000, 'all wait for a window');
    frames.socket.pause();
    frames.write(settings({ 4: 0x7fffffff }), windowUpdate(0, 0x70000000));
    // The windows are open, and nobody reads: but for what the kernel takes, all wait as before.
    await sleep(300);
    assert.ok(sum(tunnel, 'heldBytes') > 20_000_000, `${sum(tunnel, 'heldBytes')} bytes`);
    frames.destroy();
    await until(() => sum(tunnel, 'heldBytes') === 0, 'no memory is held');
  }));

  it('room for what is to come of a body is held, and none is kept without one', () => withTunnel({ driver, tasks }, async (tunnel) => {
    let asked = 1;
    const frames = await Frames.connect(tunnel);
    frames.write(headers(1, POST(path('count'), OCTETS), { end: false }));
    await until(async () => {
      // Taken by the handler at once: what is held is the room that reads of this size have.
      frames.write(...many(4, () => data(1, Buffer.alloc(15_000))), headers(asked += 2, POST(path('late'))));
      await frames.frame((frame) => frame.type === TYPES.headers && frame.stream === asked);
      await sleep(50);
      return sum(tunnel, 'heldBytes') > 40_000;
    }, 'it is held, whatever else happens');
    frames.write(data(1, '', { end: true }));
    await until(() => sum(tunnel, 'heldBytes') < 20_000, 'it is given back');
    frames.destroy();
  }));

  it('a client that does not heed GOAWAY is served no longer', () => withTunnel({ driver, tasks, limits: { maxRequestsPerConnection: 1, maxStreams: 2 } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    const answered = (at) => frames.frame(({ type, stream: of }) => of === stream(at) && (type === TYPES.headers || type === TYPES.reset));
    for (const [at, type] of [TYPES.headers, TYPES.headers, TYPES.headers, TYPES.reset, TYPES.reset].entries()) {
      frames.write(headers(stream(at), POST(path('echo'))));
      assert.equal((await answered(at)).type, type, `${at}`);
    }
    assert.equal(await frames.reset(stream(3)), CODES.REFUSED_STREAM);
    await frames.ended();
  }));

  it('padding is not held', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    frames.write(headers(1, POST(path('count'), OCTETS), { end: false }));
    const padded = frame(TYPES.data, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(1000 + 255)]));
    const opened = () => frames.frames.reduce((bytes, { type, stream: of, payload }) => bytes + (type === TYPES.windowUpdate && of === 1 ? payload.readUInt32BE() : 0), 0);
    for (let sent = 1; sent <= 260; sent += 1) {
      frames.write(...many(40, () => padded));
      await until(() => opened() > sent * 40 * 1256 - 20_000, 'the window is open again');
    }
    assert.ok(sum(tunnel, 'heldBytes') < 2 << 20, `${sum(tunnel, 'heldBytes')} bytes`);
    frames.destroy();
  }));

  it('an answer with fields that mean nothing on a stream is one without them', () => withBridge({
    driver, http2: true, entries: [task('te', () => new RawAnswer(200, [['te', 'gzip'], ['connection', 'x'], ['x-mine', '1']], 'text', {}))],
  }, (bridge) => withSession({ host: '127.0.0.1', port: bridge.port }, async (session) => {
    const { status, headers: fields, text } = await callTask(session, 'te', 1);
    assert.deepEqual([status, text, fields['x-mine'], fields.te], [200, 'text', '1', undefined]);
  })));

  it('an answer with more fields than there may be costs nobody else anything', () => withBridge({
    driver, http2: true,
    entries: [
      task('many', () => new RawAnswer(200, many(40_000, (at) => [`x-${at}`, '']), 'text', {})),
      task('wait', () => sleep(500).then(() => new RawAnswer(200, [], 'late', {}))),
    ],
  }, (bridge) => withSession({ host: '127.0.0.1', port: bridge.port }, (other) => withSession({ host: '127.0.0.1', port: bridge.port }, async (session) => {
    const late = callTask(other, 'wait', 1);
    await callTask(session, 'many', 1).catch(() => {});
    assert.equal((await late).text, 'late');
  }, { maxHeaderListPairs: 100_000 }))));
});
