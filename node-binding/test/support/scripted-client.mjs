// A client of a server that answers as a test wants it.
import assert from 'node:assert/strict';
import { createClient } from 'fasttunnel/client';
import { scriptedServer } from './scripted-server.mjs';
import { uncaught } from './tunnels.mjs';

/** A server and a client for one test, which throws nothing at the process. */
export async function scripted(onRequest, clientOptions, body, serverOptions) {
  const server = await scriptedServer(onRequest, serverOptions);
  const client = createClient({ url: server.url, timeoutMs: 3000, ...clientOptions });
  const errors = await uncaught(async () => {
    try {
      await body(client, server);
    } finally {
      client.destroy();
      await server.close();
    }
  });
  assert.deepEqual(errors, []);
  const { calls, results, errors: refused, failed, timedOut, aborted, outstanding, queued } = client.stats();
  assert.equal(results + refused + failed + timedOut + aborted, calls, 'each call has ended once');
  assert.equal(outstanding + queued, 0);
}
