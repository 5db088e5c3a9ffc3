// What `doctor --json` prints. docs/command-line.md describes it; what stands here is only ever added to.

/** Something that the user may want to change. Only a problem makes the exit code 1. */
export interface Finding {
  readonly level: 'problem' | 'note';
  readonly text: string;
  readonly fix: string | null;
}

/** A limit of the process; null: none. */
export interface Limit {
  readonly soft: number | null;
  readonly hard: number | null;
}

export interface SystemReport {
  readonly platform: string;
  readonly arch: string;
  readonly libc: string | null;
  readonly libcVersion: string | null;
  readonly kernel: string;
  /** As far as it can be seen from inside. */
  readonly container: string | null;
}

export interface LimitsReport {
  readonly openFiles: Limit | null;
  readonly lockedMemoryBytes: Limit | null;
  /** Processors that the process may run on. */
  readonly cpus: number;
  /** Of the cgroup, in processors; null: none. */
  readonly cpuQuota: number | null;
  /** Of the cgroup, in bytes; null: none. */
  readonly memoryBytes: number | null;
}

export interface DriverReport {
  /** What `driver: 'auto'` comes to; null when nothing can be started. */
  readonly name: 'io_uring' | 'epoll' | null;
  /** Why it is not io_uring. */
  readonly reason: string | null;
  /** What stands in the way of io_uring, or may. */
  readonly obstacles: readonly string[];
}

export interface CallReport {
  readonly driver: 'io_uring' | 'epoll';
  readonly ok: boolean;
  /** From the start of the tunnel to its answer. */
  readonly ms: number | null;
  readonly error: string | null;
}

export interface PortReport {
  readonly port: number;
  readonly free: boolean;
  /** Process that listens there, if it can be seen. */
  readonly usedBy: { readonly pid: number; readonly name: string } | null;
}

export interface Report {
  readonly schema: 1;
  readonly ok: boolean;
  readonly system: SystemReport;
  readonly versions: {
    readonly fasttunnel: string;
    readonly runtime: string;
    readonly runner: string | null;
    readonly packageManager: string | null;
  };
  readonly addon: {
    /** Null when there is none, or none can be loaded. */
    readonly file: string | null;
    /** What the addon states of itself; the package states the same of the addon that it wants. */
    readonly build: string | null;
    readonly error: string | null;
  };
  readonly driver: DriverReport;
  readonly limits: LimitsReport;
  readonly ports: readonly PortReport[];
  readonly calls: readonly CallReport[];
  readonly findings: readonly Finding[];
}
