import { STATUS_CODES } from 'node:http';
import type { ForeignResponse } from './foreign.js';
import { isOpen } from './own-answers.js';

/** Lines of the engine's answers that are about its own connection; the foreign server has its own, and its own clock. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date']);

/** Puts one answer of the engine on a foreign response. */
export class ResponseWriter {
  readonly #response: ForeignResponse;
  readonly #hasReason: boolean;
  #begun = false;
  #ended = false;
  /** Bytes that the declared length has still to bring. */
  #awaited = Infinity;
  /** The pieces of an answer for a response that takes it as a whole only. */
  #pieces: Buffer[] | undefined;

  /** `hasReason`: not in HTTP/2, which knows no reason phrases and warns of them. */
  constructor(response: ForeignResponse, hasReason: boolean) {
    this.#response = response;
    this.#hasReason = hasReason;
  }

  /** Part of the answer is out, and the rest is not. */
  get midway(): boolean {
    return this.#begun && !this.#ended;
  }

  /** Takes the head. Where another listener of the same server has answered, his answer stands and this one goes nowhere. */
  begin(status: number, reason: string, lines: readonly string[]): void {
    const response = this.#response;
    if (!isOpen(response)) return;
    response.statusCode = status;
    if (this.#hasReason && reason !== (STATUS_CODES[status] ?? 'unknown')) response.statusMessage = reason;
    const given = new Map<string, string[]>();
    for (let index = 0; index < lines.length; index += 2) {
      const name = lines[index]!;
      const value = lines[index + 1]!;
      const key = name.toLowerCase();
      if (HOP_BY_HOP.has(key)) continue;
      if (key === 'content-length') this.#awaited = Number(value);
      const values = given.get(key);
      values?.push(value);
      if (values === undefined) given.set(key, [value]);
      if (key === 'vary') response.setHeader(name, withVary(response.getHeader?.(name), value));
      else response.setHeader(name, values ?? value);
    }
    if (typeof response.write !== 'function') this.#pieces = [];
    this.#begun = true;
  }

  /** Takes a piece of the body. False: wait until the response has drained. */
  write(bytes: Buffer): boolean {
    if (!this.midway) return true;
    this.#awaited -= bytes.length;
    if (this.#pieces !== undefined) {
      this.#pieces.push(bytes);
      return true;
    }
    if (this.#awaited > 0) return this.#response.write!(bytes) !== false;
    // Most often the whole body in one piece: it leaves together with the head.
    this.#ended = true;
    this.#response.end(bytes);
    return true;
  }

  end(): void {
    if (!this.midway) return;
    this.#ended = true;
    if (this.#pieces === undefined || this.#pieces.length === 0) this.#response.end();
    else this.#response.end(Buffer.concat(this.#pieces));
  }

  /** Breaks an answer off that is midway: a part must not look like the whole. */
  cut(): void {
    if (!this.midway) return;
    this.#ended = true;
    if (this.#response.destroy !== undefined) this.#response.destroy();
    else this.#response.end();
  }
}

/** `Vary` is added to what a middleware has said, without saying anything twice. */
function withVary(present: unknown, value: string): string {
  const known = Array.isArray(present) ? present.join(', ') : typeof present === 'string' ? present : '';
  const names = known.split(',').map((name) => name.trim().toLowerCase());
  if (known === '') return value;
  return names.includes('*') || names.includes(value.toLowerCase()) ? known : `${known}, ${value}`;
}
