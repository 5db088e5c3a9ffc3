// The three calls from Node, with nothing but what Node has. `upload` and `transform` send as they read: files of any size.
import { openAsBlob } from 'node:fs';
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Calls through `fetch`; throws what the tunnel says. */
async function call(url, token, id, init) {
  const response = await fetch(`${url}/task/${encodeURIComponent(id)}`, { method: 'POST', ...init, headers: { 'x-runner-token': token, ...init.headers } });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

/** Sends a file of the disk in a form, and tells how far it is. */
export async function upload(url, token, path, name, type, onProgress = () => {}) {
  const form = new FormData();
  form.append('__manifest', JSON.stringify({ input: { file: { $runnerFile: 'File', id: 'F1', meta: { name, type } } } }));
  form.append('file:F1', await openAsBlob(path, { type }), name);
  // `fetch` does not tell how far it is; so the form's bytes are counted on their way into it.
  const request = new Request('http://form/', { method: 'POST', body: form });
  let sent = 0;
  const counted = request.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      sent += chunk.byteLength;
      onProgress(sent);
      controller.enqueue(chunk);
    },
  }));
  const response = await call(url, token, 'app.files.upload', { body: counted, duplex: 'half', headers: { 'content-type': request.headers.get('content-type') } });
  return (await response.json()).result;
}

/** Gets a file into a writable stream, and tells how far it is. */
export async function download(url, token, id, into, onProgress = () => {}) {
  const response = await call(url, token, 'app.files.download', { body: JSON.stringify({ input: { id } }), headers: { 'content-type': 'application/json' } });
  const total = Number(response.headers.get('content-length'));
  let received = 0;
  await pipeline(Readable.fromWeb(response.body), async function* (chunks) {
    for await (const chunk of chunks) {
      received += chunk.length;
      onProgress(received, total);
      yield chunk;
    }
  }, into);
  return received;
}

/** A connection that is open both ways: write to it, and read what comes back, at the same time. */
export function transform(url, token, id) {
  const request = http.request(`${url}/task/${encodeURIComponent(id)}`, { method: 'POST', headers: { 'x-runner-token': token, 'content-type': 'application/octet-stream' } });
  request.flushHeaders();
  const answered = new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  return { request, answered };
}
