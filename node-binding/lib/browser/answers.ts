// Answers, as text and as streams.
import type { AnswerStream } from './types.js';

/** What is to be done with an answer that comes piece by piece. */
export interface AnswerOwner {
  /** All of it was read. */
  done(): void;
  /** It broke off: the error that its reader gets. */
  broken(error: unknown): unknown;
  /** Its reader does not want the rest. */
  cancelled(): void;
}

export function answerStream(response: Response, owner: AnswerOwner): AnswerStream {
  const reader = (response.body ?? new Blob([]).stream()).getReader();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value as Uint8Array);
        owner.done();
        controller.close();
      } catch (error) {
        controller.error(owner.broken(error));
      }
    },
    async cancel(reason): Promise<void> {
      owner.cancelled();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  if (!(Symbol.asyncIterator in stream)) Object.defineProperty(stream, Symbol.asyncIterator, { value: chunksOf });
  return Object.assign(stream, { statusCode: response.status, headers: Object.fromEntries(response.headers.entries()) }) as unknown as AnswerStream;
}

/** The whole answer; throws `tooLarge` where it has more than `most` bytes. */
export async function textOf(response: Response, most: number, tooLarge: () => Error): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > most) {
      await reader.cancel().catch(() => {});
      throw tooLarge();
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** What a stream is iterated by in browsers that have no such thing. */
async function* chunksOf(this: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = this.getReader();
  let over = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        over = true;
        return;
      }
      yield value as Uint8Array;
    }
  } finally {
    if (!over) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}
