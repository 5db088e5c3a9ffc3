import type { Entry } from '../calls/entry.js';
import type { Destination } from '../native/addon.js';
import type { AdminAddress } from '../options/addresses.js';
import type { Placement } from '../options/engine-options.js';
import type { Allow } from '../options/engine-options.js';
import type { TlsEngineOptions } from '../options/tls.js';
import type { MemberStats, Stats } from '../stats/stats.js';

/** What tunnels, of `fastTunnel()` and of Runner, see of the bridge. */
export interface Bridge {
  readonly port: number;
  readonly host: string;
  readonly socketPath?: string;
  /** It speaks TLS. */
  readonly encrypted: boolean;
  readonly admin?: AdminAddress | undefined;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason?: string | undefined;
  readonly placement: Placement;
  readonly placementReason?: string | undefined;
  readonly shards: number;
  /** Counts from the next request on. Without `allow`, every entry may be called. */
  setEntries(entries: readonly Entry[], allow?: Allow): void;
  /** Counts from the next connection on. Only where it speaks TLS. */
  setTls(tls: TlsEngineOptions): void;
  /** Goes on with the access log in a new file of the same path. False where it is written into none. */
  reopenLog(): boolean;
  /** A connection to the engine from within: its descriptor, the caller's to close. Throws when there are too many, or at the end. */
  connect(): number;
  /** Where a request target leads, as the engine reads it. */
  route(target: string): Destination;
  stats(): Stats;
  /** By which threads of this process join. */
  readonly number: number;
  /** What the engine knows of the event loops that have joined, by their numbers. */
  members(): ReadonlyMap<number, MemberStats>;
  ref(): void;
  unref(): void;
  /** Lets `/readyz` say that no calls are wanted any more. */
  retire(): void;
  close(): Promise<void>;
  /** Ends a `close` that is under way at once. */
  cut(): void;
}

/** What a worker sees of the tunnel that it has joined. */
export interface Membership {
  /** The engine's number of this event loop. */
  readonly member: number;
  /** Takes no more calls, and ends when those that it has begun are answered, or `drainTimeoutMs` is over. */
  leave(): Promise<void>;
  /** Ends at once: calls that it has begun are answered 503. */
  end(): void;
}
