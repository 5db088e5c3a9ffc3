import { Call } from '../calls/call.js';
import { FLAG_ASK_AUTH, FLAG_ASK_ORIGIN } from '../facts/facts.generated.js';
import type { NativeTunnel } from '../native/addon.js';
import { isThenable } from '../values/thenable.js';

/** What is known of a request before its body. */
export interface RequestFacts {
  readonly method: string;
  /** The target as received, with its query. */
  readonly url: string;
  /** The target's path, without the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly requestId: string;
}

/** A request that was refused for want of authentication. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/** What JavaScript decides about requests. Nothing here is asked unless the options say so. */
export interface BridgeHooks {
  /** Value of Access-Control-Allow-Origin, or nothing. A throw counts as nothing (D10). With `cors.originFromHook`. */
  origin?(origin: string | undefined): string | null | undefined;
  /** Asked when no static token matched. A throw or rejection counts as no. With `auth.validators`. */
  authenticate?(request: RequestFacts): boolean | Promise<boolean>;
  /**
   * Authentication failures (401, 500 AUTH_NOT_CONFIGURED) that were answered, for the log (CONTRACT 21). At most 256
   * for each batch; the surplus is counted (`noticesDropped`).
   */
  onRefused?(refusal: Refusal): void;
  /** Shards have failed too often: the bridge closes by itself. */
  onFailed?(): void;
}

/** Requests that wait for a hook's word. Each gets exactly one, also when its client has gone. */
export class Asks {
  readonly #native: NativeTunnel;
  readonly #hooks: BridgeHooks;
  readonly #onAdvised: () => void;
  /** By ticket: those whose `authenticate` has not settled. */
  readonly #waiting = new Map<number, Call>();

  /** @param onAdvised called whenever an answer waits to be taken along */
  constructor(native: NativeTunnel, hooks: BridgeHooks, onAdvised: () => void) {
    this.#native = native;
    this.#hooks = hooks;
    this.#onAdvised = onAdvised;
  }

  /** Asks the hooks. Never throws. */
  ask(ticket: number, flags: number): void {
    const request = new Call('task', '', ticket, this.#native);
    let origin: string | undefined;
    if ((flags & FLAG_ASK_ORIGIN) !== 0) origin = this.#originFor(request);
    if ((flags & FLAG_ASK_AUTH) === 0) return this.#advise(request, false, origin);
    try {
      const verdict: unknown = this.#hooks.authenticate?.(request);
      if (!isThenable(verdict)) return this.#advise(request, Boolean(verdict), origin);
      this.#waiting.set(ticket, request);
      Promise.resolve(verdict).then(
        (passed) => this.#settle(request, Boolean(passed), origin),
        () => this.#settle(request, false, origin),
      );
    } catch {
      this.#advise(request, false, origin);
    }
  }

  /** The client has gone: frees the ticket at once, for the hook may never settle. False when it was no ask. */
  leave(ticket: number): boolean {
    const request = this.#waiting.get(ticket);
    if (request === undefined) return false;
    this.#settle(request, false, undefined);
    return true;
  }

  #originFor(request: Call): string | undefined {
    try {
      const { origin } = request.headers;
      const allowed: unknown = this.#hooks.origin?.(typeof origin === 'string' ? origin : undefined);
      return typeof allowed === 'string' && allowed !== '' ? allowed : undefined;
    } catch {
      return undefined;
    }
  }

  #settle(request: Call, passed: boolean, origin: string | undefined): void {
    // Settled before: the ticket may name another request by now.
    if (this.#waiting.get(request.ticket) !== request) return;
    this.#waiting.delete(request.ticket);
    this.#advise(request, passed, origin);
  }

  #advise(request: Call, passed: boolean, origin: string | undefined): void {
    request.end();
    this.#native.advise(request.ticket, passed, origin);
    this.#onAdvised();
  }
}

/** Tells of refusals. A hook that throws costs its own turn only. */
export function tellRefusals(members: string, hooks: BridgeHooks, onThrown: (error: unknown, requestId: string) => void): void {
  for (const refusal of JSON.parse(`[${members}]`) as Refusal[]) {
    try {
      hooks.onRefused?.(refusal);
    } catch (error) {
      onThrown(error, refusal.requestId);
    }
  }
}
