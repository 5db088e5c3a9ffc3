// Bodies of requests as fetch takes them. A stream is read to its end before it is sent: browsers send streams over HTTP/2 only.
import { chunksOf, partsOf } from '../client/file-form.js';
import type { ByteSource } from '../client/types.js';
import type { ValueCodec } from '../values/codec.js';

/** An input with files as a form. */
export async function formOf(input: unknown, codec: ValueCodec): Promise<FormData> {
  const { manifest, parts } = partsOf(input, codec);
  const form = new FormData();
  // First, so that the task can begin before the files have come.
  form.append('__manifest', manifest);
  for (const { id, meta, source } of parts) form.append(`file:${id}`, await blobOf(source, meta.type ?? 'application/octet-stream'), meta.name);
  return form;
}

/** The bytes of a source. Those of a Blob stay where they are. */
export async function blobOf(source: ByteSource, type: string): Promise<Blob> {
  if (source instanceof Blob || typeof source === 'string' || source instanceof Uint8Array) return new Blob([source as Blob], { type });
  // Not every browser can iterate over its streams.
  if (source instanceof ReadableStream) return new Blob([await new Response(source as ReadableStream<Uint8Array>).blob()], { type });
  const chunks: (Uint8Array | string)[] = [];
  for await (const chunk of chunksOf(source)) chunks.push(chunk);
  return new Blob(chunks as unknown as Blob[], { type });
}
