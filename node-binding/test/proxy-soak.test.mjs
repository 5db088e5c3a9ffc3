// loadtest/proxy-soak in short: mixed traffic through the proxy, every answer checked, every request counted. FASTTUNNEL_SOAK_SEED repeats a run;
// `make proxy-soak` is the long one.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { checkBooks } from '../../loadtest/proxy-soak/books.mjs';
import { openServers } from '../../loadtest/proxy-soak/servers.mjs';
import { soak } from '../../loadtest/proxy-soak/soak.mjs';
import { steadiness } from '../../loadtest/soak/assess.mjs';
import { certificate } from './support/certificates.mjs';
import { onBothDriversAtOnce, until } from './support/tunnels.mjs';

const SECONDS = 12;
/** As many as it takes for each kind to come up, however slow the machine is. */
const LEAST_CONTEXTS = 400;
const SEED = Number(process.env.FASTTUNNEL_SOAK_SEED ?? Date.now() % 1_000_000);
/** So short a time does not show whether it grows by 2%, as `make proxy-soak` does; a connection that is kept each time would show. */
const MOST_GROWTH = 0.15;

onBothDriversAtOnce('soak of the proxy', (driver) => {
  it(`nothing is lost, doubled or left open (seed ${SEED})`, { timeout: 300_000 }, async () => {
    const result = await soak({ driver, seed: SEED, seconds: SECONDS, clients: 16, leastContexts: LEAST_CONTEXTS });
    const { wrong, summary } = steadiness(result.rounds, result.end, MOST_GROWTH);
    console.log(`${driver}: ${result.total.requests} requests on ${result.tally.opened} connections; ${summary}`);
    assert.deepEqual(wrong, []);
    const { kinds, behaviours, statuses } = result.tally;
    for (const kind of ['small', 'chunked', 'hints', 'head', 'none', 'upload', 'through', 'trailers', 'reset', 'partial', 'nonsense', 'gone', 'denied', 'port', 'unproven', 'tunnel', 'websocket', 'malformed']) assert.ok(kinds[kind] > 0, `no ${kind}`);
    assert.equal(Object.keys(behaviours).length, 14, `only ${Object.keys(behaviours)}`);
    for (const status of [101, 200, 204, 400, 403, 407, 502]) assert.ok(statuses[status] > 0, `no ${status}`);
  });
});

describe('the soak of the proxy itself', () => {
  it('sees counters that do not add up, and what is left open', () => {
    const total = { connections: 0, contexts: 0, heldBytes: 0, accepted: 2, turnedAway: 0, requests: 3, refused: 1, protocolErrors: 1, panics: 0, unheard: 0 };
    const told = { count: 3, statuses: { 200: 2, 502: 1 } };
    const tally = { opened: 2, kinds: { malformed: 1 }, statuses: { 200: 2, 502: 1 } };
    const books = (change, { quiet = true, open = [], seen = {} } = {}) => checkBooks({ quiet, total: { ...total, ...change }, told }, { ...tally, ...seen }, open);
    assert.deepEqual(books({}), []);
    for (const change of [{ requests: 4 }, { accepted: 1 }, { panics: 1 }, { refused: 0 }, { protocolErrors: 0 }]) assert.equal(books(change).length, 1, JSON.stringify(change));
    for (const state of [{ quiet: false }, { open: ['one'] }, { seen: { statuses: { 200: 3 } } }]) assert.equal(books({}, state).length, 1, JSON.stringify(state));
  });

  it('sees a connection to a server that is open', async () => {
    const servers = await openServers(certificate().pem, () => {}, () => {});
    const socket = connect(servers.ports.plain, '127.0.0.1');
    await until(() => servers.open().length === 1, 'it is seen');
    socket.destroy();
    await until(() => servers.open().length === 0, 'it has gone');
    servers.close();
  });

  it('sees memory that grows, and descriptors that are kept', () => {
    const rounds = (change) => Array.from({ length: 10 }, (_, at) => ({ warmsUp: at < 4, rssMib: 70, heapMib: 4, fds: 40, threads: 9, ...change(at) }));
    const wrong = (change) => steadiness(rounds(change), { fds: 40, threads: 9 }).wrong.length;
    assert.equal(wrong(() => ({})), 0);
    assert.equal(wrong((at) => ({ rssMib: 70 + at })), 1);
    assert.equal(wrong((at) => ({ fds: 40 + at })), 1);
  });
});
