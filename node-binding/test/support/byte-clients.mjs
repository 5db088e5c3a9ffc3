// HTTP clients for bodies that travel in pieces.
import { createHash } from 'node:crypto';
import http from 'node:http';

/** Sends a request of bytes to a task; hands out the request itself, and a promise of its response. */
export function open(tunnel, id, { headers = {}, agent } = {}) {
  const target = tunnel.socketPath === undefined ? { host: '127.0.0.1', port: tunnel.port } : { socketPath: tunnel.socketPath };
  const request = http.request({ ...target, path: `/__runner/task/${id}`, method: 'POST', agent, headers: { 'content-type': 'application/octet-stream', ...headers } });
  const response = new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  // Whoever waits for it hears of the error; a test may only want the request.
  response.catch(() => {});
  request.on('error', () => {});
  return { request, response };
}

/** Reads a response: its bytes, and how it ended: `null`, or the code of its error. */
export async function read(response) {
  const chunks = [];
  let error = null;
  try {
    for await (const chunk of response) chunks.push(chunk);
  } catch (thrown) {
    error = thrown.code ?? thrown.message;
  }
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks), error };
}

/** A whole exchange. With `json` in place of `body` the call is an ordinary one. */
export async function exchange(tunnel, id, { body = '', json, headers, agent } = {}) {
  const { request, response } = open(tunnel, id, { agent, headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers } });
  request.end(json === undefined ? body : JSON.stringify(json));
  return read(await response);
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** So many bytes that are never the same twice. */
export function pattern(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761) % 2 ** 32, at);
  return bytes;
}
