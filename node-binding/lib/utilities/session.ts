import { constants } from 'node:buffer';
import { asInteger, asGroup, fail } from '../options/checks.js';
import { asOptions } from './arguments.js';
import { UtilityError } from './errors.js';
import { utilitiesAddon } from './native.js';
import type { NativeSessionStore } from './native.js';

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What a session is configured with: anything that JSON has. */
export type SessionConfig = Readonly<Record<string, Json>>;

/** A message of a session. */
export interface SessionMessage {
  /** Who has said it: `user`, `assistant`, … */
  role: string;
  /** What was said. */
  content: string;
  /** When it was added, in milliseconds since 1970. */
  timestamp: number;
}

/** What {@link NativeSession} takes. */
export interface SessionOptions {
  /** Messages that it keeps; 1000 unless given. The oldest make room. */
  maxMessages?: number | undefined;
  /** Bytes of JSON that it keeps, of all messages together and of the configuration; 16 MiB unless given. */
  maxBytes?: number | undefined;
}

/** How much a session keeps, and what it holds. */
export interface SessionStats {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly messages: number;
  readonly bytes: number;
  /** Messages that have made room for others, since the last `clear()`. */
  readonly dropped: number;
}

const MOST_MESSAGES = 10_000_000;
/** All messages together, with what stands between them, have to be one text. */
const MOST_BYTES = constants.MAX_STRING_LENGTH - MOST_MESSAGES - 2;

/** How a store goes from `attach` into the constructor. */
class Attached {
  constructor(readonly store: NativeSessionStore) {}
}

/**
 * A configuration and messages, kept outside of JavaScript's memory, within bounds. Threads of the process may share one:
 * `NativeSession.attach(id)` is the session with that `id`. It ends when nobody holds it any more.
 */
export class NativeSession {
  readonly #store: NativeSessionStore;
  /** Its number in this process, for `attach`. */
  readonly id: number;

  constructor(options?: SessionOptions) {
    this.#store = options instanceof Attached ? options.store : newStore(options);
    this.id = this.#store.facts().id;
  }

  /**
   * The session that has this id, of whatever thread.
   *
   * @throws UtilityError `ENOENT`: nobody in this process holds it.
   */
  static attach(id: number): NativeSession {
    if (!Number.isSafeInteger(id) || id < 1) fail('id', id, 'must be the id of a session', 'Pass session.id.');
    const store = utilitiesAddon().NativeSessionStore.find(id);
    if (store === null) throw new UtilityError('ENOENT', `NativeSession.attach: nobody in this process holds the session ${id}. Keep the object that made it.`);
    return new NativeSession(new Attached(store) as SessionOptions);
  }

  /** Replaces the configuration. */
  configure(config: SessionConfig): void {
    if (typeof config !== 'object' || config === null || Array.isArray(config)) fail('config', config, 'must be an object', 'Pass { name: value }.');
    this.#fits(this.#store.configure(asJson('config', config)), 'configure');
  }

  /** The configuration; `{}` unless there is one. It is a copy. */
  getConfig(): SessionConfig {
    return JSON.parse(this.#store.config()) as SessionConfig;
  }

  /** Adds a message, for which the oldest make room. */
  addMessage(role: string, content: string): void;
  addMessage(message: Pick<SessionMessage, 'role' | 'content'>): void;
  addMessage(first: string | Pick<SessionMessage, 'role' | 'content'>, second?: string): void {
    const { role, content } = typeof first === 'string' ? { role: first, content: second } : asGroup('message', first, ['role', 'content']);
    if (typeof role !== 'string') fail('role', role, 'must be a string', "For example 'user'.");
    if (typeof content !== 'string') fail('content', content, 'must be a string', 'Pass JSON.stringify(value) for other values.');
    const message: SessionMessage = { role, content, timestamp: Date.now() };
    this.#fits(this.#store.add(JSON.stringify(message)), 'addMessage');
  }

  /** The messages, oldest first. They are copies. */
  getMessages(): SessionMessage[] {
    return JSON.parse(this.#store.messages()) as SessionMessage[];
  }

  /** Drops the messages, and keeps the configuration. */
  clear(): void {
    this.#store.clear();
  }

  /** How much it keeps, and what it holds. */
  stats(): SessionStats {
    const { id: _id, ...stats } = this.#store.facts();
    return stats;
  }

  #fits(fits: boolean, operation: string): void {
    if (!fits) throw new UtilityError('FASTTUNNEL_TOO_LARGE', `${operation}: it alone has more bytes of JSON than the session keeps, ${this.stats().maxBytes}. Raise maxBytes of the session.`);
  }
}

function newStore(options: SessionOptions | undefined): NativeSessionStore {
  const given = asOptions('NativeSession', options, ['maxMessages', 'maxBytes']);
  const maxMessages = asInteger('NativeSession.maxMessages', given.maxMessages, { fallback: 1000, least: 1, most: MOST_MESSAGES, unit: 'messages' });
  const maxBytes = asInteger('NativeSession.maxBytes', given.maxBytes, { fallback: 16 * 2 ** 20, least: 2, most: MOST_BYTES, unit: 'bytes' });
  return new (utilitiesAddon().NativeSessionStore)(maxMessages, maxBytes);
}

function asJson(option: string, value: unknown): string {
  try {
    // Not what a toJSON() has made of it: `getConfig` gives an object.
    const text = JSON.stringify(value) as string | undefined;
    if (text?.startsWith('{') === true) return text;
  } catch (error) {
    return fail(option, value, `must be JSON (${error instanceof Error ? error.message : String(error)})`, 'Leave out what JSON does not have.');
  }
  return fail(option, value, 'must be an object in JSON as well', 'Pass { name: value }.');
}
