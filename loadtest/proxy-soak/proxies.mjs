// The proxies of the soak, in a process of their own: `clear`, and `tls` whose clients speak that. They do what they are told by messages: make and
// release contexts, and say how they stand when everything has come to rest.
//   SOAK (JSON) by environment: the options that both have, the certificate of the second, `seed`
import { ProxyServer } from '../../node-binding/dist/esm/proxy/index.mjs';

const REST_PATIENCE_MS = 20_000;
const { options, tls } = JSON.parse(process.env.SOAK);

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const faults = [];
const fault = (text) => { if (faults.length < 20) faults.push(text); };
process.on('unhandledRejection', (error) => fault(`unhandled: ${error?.stack ?? error}`));
process.on('uncaughtException', (error) => fault(`uncaught: ${error?.stack ?? error}`));
process.on('warning', (warning) => fault(`warning: ${warning.stack}`));

/** What the proxies have told of requests. */
const told = { count: 0, statuses: {} };
const onRequest = ({ status }) => {
  told.count += 1;
  told.statuses[status] = (told.statuses[status] ?? 0) + 1;
};

const proxies = { clear: await ProxyServer.start({ ...options, onRequest }), tls: await ProxyServer.start({ ...options, tls, onRequest }) };
const statsOf = () => Object.values(proxies).map((proxy) => proxy.stats());

function totalOf(all) {
  const total = { contexts: all.flatMap(({ contexts }) => contexts).length };
  for (const stats of all) for (const [name, value] of Object.entries(stats)) if (typeof value === 'number') total[name] = (total[name] ?? 0) + value;
  return total;
}

/** Waits until nothing is open and every request was told of, and says how it stands. */
async function rest() {
  const deadline = performance.now() + REST_PATIENCE_MS;
  for (;;) {
    const total = totalOf(statsOf());
    const quiet = total.connections === 0 && total.contexts === 0 && total.heldBytes === 0 && told.count + total.unheard === total.requests;
    if (quiet || performance.now() > deadline) {
      // Twice, because what a finaliser lets go is only seen by the next.
      global.gc();
      await sleep(30);
      global.gc();
      return { quiet, total, told, heapUsed: process.memoryUsage().heapUsed, faults: faults.splice(0) };
    }
    await sleep(10);
  }
}

const DOES = {
  create: ({ place, route }) => proxies[place].createContext(1, route),
  /** Says what was done for it. */
  release: ({ place, id }) => {
    const stats = proxies[place].stats().contexts.find((context) => context.id === id);
    proxies[place].releaseContext(id);
    return stats;
  },
  rest,
  stop: async () => {
    await Promise.all(Object.values(proxies).map((proxy) => proxy.stop()));
    setImmediate(() => process.disconnect());
  },
};

process.on('message', async ({ number, does, ...message }) => process.send({ number, answer: await DOES[does](message) }));
process.send({ driver: proxies.clear.driver, ports: { clear: proxies.clear.port(), tls: proxies.tls.port() } });
