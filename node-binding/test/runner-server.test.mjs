// The `server` of Runner's resource where the engine listens: what an `http.Server` tells and does, or a clear refusal.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withServer } from './support/foreign-servers.mjs';
import { call, exposuresFor, post, R, withApp } from './support/runner-apps.mjs';

const add = R.r.task('app.tasks.add').run(async ({ a, b }) => a + b).build();
const { fastTunnel, nodeExposure } = exposuresFor('epoll');
const NOT_OFFERED = { name: 'StateError', code: 'FASTTUNNEL_NOT_OFFERED', message: /has no effect where fastTunnel itself listens\. \S/ };

const seen = {
  'is an http.Server that listens': ({ server }) => [server instanceof http.Server, server.listening],
  'tells the address': ({ server }) => {
    const { port, ...address } = server.address();
    return [typeof port, address];
  },
  'counts connections': async ({ server, port }) => {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    // Both hear of it a moment after the kernel has made it.
    const count = () => promisify(server.getConnections).call(server);
    while (await count() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const connections = await count();
    socket.destroy();
    return connections;
  },
  'answers a request that is emitted at it': ({ server }) => withServer(http.createServer((request, response) => server.emit('request', request, response)), async (port) => [
    (await call(`http://127.0.0.1:${port}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 })).result, (await fetch(`http://127.0.0.1:${port}/elsewhere`)).status,
  ]),
  'closes once': async ({ server, value, port }) => {
    const closed = once(server, 'close');
    const errors = [await new Promise((resolve) => server.close(resolve)), await new Promise((resolve) => server.close(resolve))];
    await closed;
    // That of nodeExposure rejects, because its server is closed already.
    await value.close().catch(() => {});
    return [errors.map((error) => error?.code), server.listening, server.address(), await fetch(`http://127.0.0.1:${port}`).then(() => 'answered', () => 'refused')];
  },
  'emits close when the exposure is closed': async ({ server, value }) => {
    let emitted = 0;
    server.on('close', () => { emitted += 1; });
    await value.close();
    return emitted;
  },
};

describe("the resource's server", () => {
  for (const [what, look] of Object.entries(seen)) {
    it(`${what}, as that of nodeExposure`, async () => {
      const behind = (exposure) => withApp(exposure, { items: [add] }, ({ value, port }) => look({ server: value.server, value, port }));
      assert.deepEqual(await behind(fastTunnel), await behind(nodeExposure));
    });
  }

  it('has an answer to everything that an http.Server has', () => withApp(fastTunnel, {}, ({ value: { server } }) => {
    const inherited = [http.Server.prototype, net.Server.prototype].flatMap((prototype) => Reflect.ownKeys(prototype));
    // Of Node's own, and read by it alone; `rejection` is an emitter's.
    const internal = (name) => name === 'constructor' || String(name).startsWith('_') || name === Symbol.for('nodejs.rejection');
    assert.deepEqual(inherited.filter((name) => !internal(name) && !Object.hasOwn(server, name)), []);
    for (const name of ['maxHeadersCount', 'timeout', 'headersTimeout', 'requestTimeout', 'keepAliveTimeout', 'maxRequestsPerSocket', 'maxConnections']) {
      assert.equal(typeof server[name], 'number', name);
      assert.throws(() => { server[name] = 1; }, NOT_OFFERED, name);
    }
  }));

  it('tells the bounds that hold', () => withApp(fastTunnel, { engine: { limits: { headTimeoutMs: 1234, idleTimeoutMs: 2345, maxHeaders: 12, maxConnections: 34, maxRequestsPerConnection: 56, maxBodyTimeMs: 67_890 } } }, ({ value: { server } }) => {
    assert.deepEqual([server.headersTimeout, server.keepAliveTimeout, server.maxHeadersCount, server.maxConnections, server.maxRequestsPerSocket, server.requestTimeout], [1234, 2345, 12, 34, 56, 67_890]);
  }));

  it('refuses what could not happen, and says what to do', () => withApp(fastTunnel, {}, ({ value: { server } }) => {
    for (const add of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener']) {
      for (const event of ['request', 'upgrade', 'connection', 'connect', 'clientError', 'checkContinue']) assert.throws(() => server[add](event, () => {}), NOT_OFFERED, `${add} ${event}`);
    }
    assert.throws(() => server.setTimeout(5), { ...NOT_OFFERED, message: /engine\.limits/ });
    assert.throws(() => server.closeAllConnections(), { ...NOT_OFFERED, message: /close\(\) before/ });
    assert.throws(() => server.listen(0), { code: 'FASTTUNNEL_ALREADY_LISTENING' });
    assert.ok(server instanceof EventEmitter && server.on('listening', () => {}).once('error', () => {}) === server);
  }));

  it('closeAllConnections after close ends calls under way', async () => {
    let started;
    const running = new Promise((resolve) => { started = resolve; });
    const endless = R.r.task('app.tasks.endless').run(() => { started(); return new Promise(() => {}); }).build();
    await withApp(fastTunnel, { items: [endless] }, async ({ value, url }) => {
      const answer = post(url, '/task/app.tasks.endless', {}).then(() => 'answered', () => 'cut');
      await running;
      const closed = once(value.server, 'close');
      value.server.close();
      value.server.closeAllConnections();
      await closed;
      assert.equal(await answer, 'cut');
    });
  });

  it('unref() lets the process end', { timeout: 20_000 }, async () => {
    const app = `
      import { exposuresFor, withApp } from ${JSON.stringify(new URL('support/runner-apps.mjs', import.meta.url).href)};
      withApp(exposuresFor('epoll').fastTunnel, {}, ({ value }) => { value.server.unref(); console.log(value.server.listening); return new Promise(() => {}); });`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', app], { timeout: 15_000, cwd: fileURLToPath(new URL('..', import.meta.url)) });
    assert.equal(stdout, 'true\n');
  });
});
