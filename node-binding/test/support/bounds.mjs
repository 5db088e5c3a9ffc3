// How a bound is tested: what is sent below, at and above it, and what became of the connection.
import assert from 'node:assert/strict';
import { postBytes, RawSocket } from './raw-socket.mjs';

/** As small a request as there is, for connections with the tightest limits. It is answered 404. */
const PROBE = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

/** A call of `echo` with this body, or with these lines in place of its length. */
export const callBytes = (body, headers) => postBytes('/__runner/task/echo', body, headers);

/** Sends bytes on a connection of their own: the status of the answer, and whether the connection is open afterwards. */
export async function verdict(tunnel, bytes) {
  const socket = await RawSocket.connect(tunnel);
  try {
    await socket.write(bytes);
    return await afterwards(socket, (await socket.answer()).status);
  } finally {
    socket.destroy();
  }
}

/** A status, and whether the connection that it came on serves another request. */
export async function afterwards(socket, status) {
  await socket.write(PROBE);
  try {
    assert.equal((await socket.answer({ timeoutMs: 3000 })).status, 404);
    return `${status}, open`;
  } catch (error) {
    if (!socket.closed) throw error;
    assert.equal(socket.rest, '', 'nothing behind the last answer');
    return `${status}, closed`;
  }
}

/** Checks what `make(n)` brings for one less than the bound, for the bound and for one more; by default one more is too much. */
export async function expectBound(tunnel, bound, make, refused, { good = '200, open', first = bound + 1 } = {}) {
  for (const n of [bound - 1, bound, bound + 1]) {
    if (n < 0) continue;
    assert.equal(await verdict(tunnel, make(n)), n < first ? good : refused, `${n} where the bound is ${bound}`);
  }
}

/** Checks that something ends at its time: never before, and no more than a second late. */
export async function expectTime(boundMs, body) {
  const began = performance.now();
  const value = await body();
  const tookMs = performance.now() - began;
  assert.ok(tookMs >= boundMs && tookMs < boundMs + 1000, `${tookMs} ms where ${boundMs} are the bound`);
  return value;
}
