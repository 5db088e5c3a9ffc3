/** Milliseconds before something is tried again, the n-th time: twice as long each time, and any part of that, so that not all come back at once. */
export function backoffMs(times: number, baseMs: number, mostMs: number): number {
  const ms = Math.min(mostMs, baseMs * 2 ** Math.min(times - 1, 20));
  return ms / 2 + (Math.random() * ms) / 2;
}

/** Calls for one repetition, and what there is at the start, and at most. */
const SHARE = 0.1;
const FIRST = 20;
const MOST = 200;

/** How many calls may be sent again: a share of all, so that a server in need is not given more on top. */
export class RetryBudget {
  #left = FIRST;

  /** A call was made. */
  earn(): void {
    if (this.#left < MOST) this.#left += SHARE;
  }

  /** Takes one; false: there is none left. */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** Value of Retry-After (RFC 9110 10.2.3) in milliseconds; undefined: it says nothing. */
export function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
