// The proxy of this checkout, for `make bench-proxy`: with WORKSPACE its context has a route, with TLS its clients speak that to it.
// Tells its memory, and makes contexts, when it is asked to.
import { ProxyServer } from '../../node-binding/dist/esm/proxy/index.mjs';
import { ROUTE, workspace } from './route.mjs';
import { pem } from './tls.mjs';

const led = workspace && { hosts: { [`*.${ROUTE.domainSuffix}`]: `${workspace.host}:${workspace.port}` }, ca: workspace.ca };
const proxy = await ProxyServer.start({ port: 0, addresses: { loopback: true }, tls: pem, ...led });
const { username, password } = proxy.createContext(1, workspace && ROUTE);

/** Makes so many contexts, and releases them, a hundred at a time. */
async function turnOver(count) {
  for (let done = 0; done < count; done += 100) {
    const contexts = Array.from({ length: 100 }, (_, at) => proxy.createContext(at, ROUTE));
    for (const { id } of contexts) proxy.releaseContext(id);
    await new Promise(setImmediate);
  }
}

process.on('message', async (count) => {
  await turnOver(count);
  globalThis.gc?.();
  process.send({ contexts: proxy.stats().contexts.length });
});
process.on('disconnect', () => process.exit());
process.send({ port: proxy.port(), username, password, version: `fasttunnel (${proxy.driver})` });
