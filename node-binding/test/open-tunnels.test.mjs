// A tunnel that was not closed has a name where tools look for what keeps a process alive: an async resource of the type
// FASTTUNNEL, made where the tunnel was started, for as long as it is open.
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { fastTunnel, TunnelServer } from 'fasttunnel';
import { withHandlers } from './support/foreign-servers.mjs';
import { exposuresFor, withApp } from './support/runner-apps.mjs';
import { callTask, sleep } from './support/tunnels.mjs';

const options = { driver: 'epoll', shards: 1, auth: { allowAnonymous: true }, tasks: { a: () => 1 } };

/** What `body` makes of such resources: as `jest --detectOpenHandles` looks at them. */
async function observed(body) {
  const all = [];
  const open = new Map();
  const hook = createHook({
    init(id, type, _trigger, resource) {
      if (type !== 'FASTTUNNEL') return;
      const made = { resource, stack: new Error(type).stack, destroyed: 0 };
      all.push(made);
      open.set(id, made);
    },
    destroy(id) {
      const made = open.get(id);
      if (made !== undefined) made.destroyed += 1;
    },
  }).enable();
  try {
    await body(all);
    await sleep(1);
  } finally {
    hook.disable();
  }
  return all;
}

describe('an open tunnel', () => {
  it('is one async resource with the stack of its start, until it is closed', async () => {
    async function whoForgetsToClose() {
      return fastTunnel(options);
    }
    const all = await observed(async (made) => {
      const tunnel = await whoForgetsToClose();
      assert.equal(made.length, 1);
      assert.match(made[0].stack, /^Error: FASTTUNNEL\n[^]*\bwhoForgetsToClose .*open-tunnels\.test\.mjs/);
      for (let call = 0; call < 20; call += 1) assert.equal((await callTask(tunnel, 'a', 0)).status, 200);
      await sleep(1);
      assert.equal(made[0].destroyed, 0);
      assert.equal(made[0].resource.hasRef(), true);
      await tunnel.close();
      await tunnel.close();
      assert.equal(made[0].resource.hasRef(), false);
    });
    assert.deepEqual(all.map(({ destroyed }) => destroyed), [1]);
  });

  it('tells by hasRef() whether it keeps the process alive', () => observed(async (made) => {
    const server = new TunnelServer(options).unref();
    await server.listen();
    const said = [made[0].resource.hasRef()];
    said.push(server.ref() && made[0].resource.hasRef(), server.unref() && made[0].resource.hasRef());
    await server.close();
    said.push(server.ref() && made[0].resource.hasRef());
    assert.deepEqual(said, [false, true, false, false]);
  }));

  it('that could not be opened is none, and the next attempt is another', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const all = await observed(async () => {
      const server = new TunnelServer({ ...options, port: blocker.address().port });
      await assert.rejects(server.listen(), { code: 'EADDRINUSE' });
      await assert.rejects(fastTunnel({ ...options, host: 'nowhere.invalid' }));
      await assert.rejects(fastTunnel({ ...options, shards: 65 }));
      await new Promise((resolve) => blocker.close(resolve));
      await server.listen();
      await server.close();
    });
    assert.deepEqual(all.map(({ destroyed }) => destroyed), [1, 1, 1]);
  });

  it('of a Runner app is one where it listens, and none where it does not', async () => {
    const { fastTunnel: exposure } = exposuresFor('epoll');
    const listening = await observed(() => withApp(exposure, {}, ({ value }) => { value.server.unref(); }));
    assert.deepEqual(listening.map(({ destroyed }) => destroyed), [1]);
    const attached = await observed(() => withHandlers(exposure, {}, () => {}));
    assert.deepEqual(attached, []);
    const refused = await observed(() => assert.rejects(withApp(exposure, { http: { listen: { port: 0, host: 'nowhere.invalid' } } }, () => {}), { name: 'ListenError' }));
    assert.deepEqual(refused.map(({ destroyed }) => destroyed), [1]);
  });
});
