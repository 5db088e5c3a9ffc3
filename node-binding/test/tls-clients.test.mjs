// Clients that show certificates: who is let in, and what the handler sees of them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import { it } from 'node:test';
import tls from 'node:tls';
import { authority, certificate } from './support/certificates.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, withTunnel } from './support/tunnels.mjs';

const WORKERS = new URL('fixtures/workers/tasks.mjs', import.meta.url);
const { pem: OWN } = certificate();
const OURS = authority();
const FOREIGN = authority();
const WORKER = OURS.sign('/O=Acme/CN=worker', 'DNS:worker.acme.test,URI:spiffe://acme.test/worker');
const STRANGER = FOREIGN.sign('/CN=stranger', 'DNS:stranger.test');
const SERVER = OURS.sign('/CN=server', 'DNS:server.test', 'serverAuth');

const tasks = {
  who: (_input, { tls: peer }) => ({ subject: peer.client?.subject ?? null, altNames: peer.client?.altNames ?? null, serial: peer.client?.certificate.serialNumber !== undefined }),
};
const KNOWN = { subject: 'O=Acme\nCN=worker', altNames: ['DNS:worker.acme.test', 'URI:spiffe://acme.test/worker'], serial: true };

/** Calls the task `who`; rejects where the client is refused. */
function who(tunnel, identity = {}, options = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(`${tunnel.url}/task/${options.id ?? 'who'}`, { method: 'POST', ca: OWN.cert, agent: false, headers: { 'content-type': 'application/json' }, ...identity, ...options }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => { text += chunk; }).on('end', () => resolve(JSON.parse(text).result)).on('error', reject);
    });
    request.on('error', reject);
    request.end('{}');
  });
}

onBothDrivers('certificates of clients', (driver) => {
  const withCa = (body, options = {}) => withTunnel({ driver, shards: 1, tasks, tls: { ...OWN, ca: OURS.cert, ...options } }, body);

  it('lets in whom the authority vouches for, and tells the handler subject and names', () => withCa(async (tunnel) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) assert.deepEqual(await who(tunnel, WORKER, { maxVersion }), KNOWN);
  }));

  it('tells a handler in a worker as well, which gets no keys', () => withTunnel({ driver, tls: { ...OWN, ca: OURS.cert }, workers: 1, handlers: new URL('fixtures/workers/tasks.mjs', import.meta.url) }, async (tunnel) => {
    assert.deepEqual(await who(tunnel, WORKER), KNOWN);
    assert.equal(await who(tunnel, WORKER, { id: 'given' }), '{}');
  }));

  it('refuses others in the handshake: none, a stranger, one for servers', () => withCa(async (tunnel) => {
    for (const identity of [{}, STRANGER, SERVER]) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) await assert.rejects(who(tunnel, identity, { maxVersion }), /alert|ECONNRESET|socket hang up|EPIPE/);
    }
    assert.equal(tunnel.stats().shards[0].calls, 0);
  }));

  it('with requireClientCert: false lets in who shows none, and still no stranger', () => withCa(async (tunnel) => {
    assert.deepEqual(await who(tunnel), { subject: null, altNames: null, serial: false });
    assert.deepEqual(await who(tunnel, WORKER), KNOWN);
    await assert.rejects(who(tunnel, STRANGER));
  }, { requireClientCert: false }));

  it('knows the client of a session that is taken up again', () => withCa(async (tunnel) => {
    const connect = async (session) => {
      const socket = tls.connect({ host: tunnel.host, port: tunnel.port, ca: OWN.cert, servername: 'localhost', ...WORKER, session });
      const ticket = once(socket, 'session');
      await once(socket, 'secureConnect');
      socket.write(`POST ${new URL(tunnel.url).pathname}/task/who HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
      const [text] = await once(socket, 'data');
      const [next] = await ticket;
      const reused = socket.isSessionReused();
      socket.destroy();
      return { next, reused, result: JSON.parse(String(text).split('\r\n\r\n')[1]).result };
    };
    const { next } = await connect();
    const { reused, result } = await connect(next);
    assert.deepEqual([reused, result], [true, KNOWN]);
  }));

  it('with another authority sessions of before are not taken up', () => withCa(async (tunnel) => {
    const socket = tls.connect({ host: tunnel.host, port: tunnel.port, ca: OWN.cert, servername: 'localhost', ...WORKER });
    const [session] = await once(socket, 'session');
    socket.destroy();
    tunnel.setTls({ ...OWN, ca: FOREIGN.cert });
    await assert.rejects(who(tunnel, WORKER, { session }));
    assert.equal((await who(tunnel, STRANGER)).subject, 'CN=stranger');
  }));

  it('is there in workers, too', () => withTunnel({ driver, shards: 1, workers: 1, handlers: WORKERS, tls: { ...OWN, ca: OURS.cert } }, async (tunnel) => {
    assert.equal(await who(tunnel, WORKER, { id: 'client' }), 'O=Acme\nCN=worker');
  }));

  it('is there in Runner, too: with http.listen.tls, in the request of the exposure context', async () => {
    const task = R.r.task('app.tasks.who').run(async () => R.useExposureContext().req.tls.client?.subject ?? 'nobody').build();
    await withApp(exposuresFor(driver).fastTunnel, { items: [task], http: { listen: { port: 0, tls: { ...OWN, ca: [OURS.cert] } } } }, async ({ value: exposure }) => {
      const headers = { 'content-type': 'application/json', 'x-runner-token': TOKEN };
      assert.match(exposure.url, /^https:/);
      assert.equal(await who(exposure, WORKER, { id: 'app.tasks.who', headers }), 'O=Acme\nCN=worker');
      exposure.setTls({ ...OWN, ca: FOREIGN.cert });
      assert.equal(await who(exposure, STRANGER, { id: 'app.tasks.who', headers }), 'CN=stranger');
      assert.throws(() => exposure.setTls({ cert: OWN.cert, key: STRANGER.key }), { option: 'tls.key' });
    });
  });
});
