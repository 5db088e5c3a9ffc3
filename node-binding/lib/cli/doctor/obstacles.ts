// What stands in the way of io_uring, as far as the system tells.
import type { ReadText } from './limits.js';

export interface Obstacle {
  readonly text: string;
  readonly fix: string;
}

/** The flags that the engine needs came with it. */
const LEAST_KERNEL = [6, 0] as const;

/** Settings that forbid io_uring, or keep it from being what the engine needs; `reason` is what the engine has met. */
export function obstaclesOf(kernel: string, reason: string | null, read: ReadText): Obstacle[] {
  const found: Obstacle[] = [];
  const [major = 0, minor = 0] = kernel.split('.', 2).map((part) => Number.parseInt(part, 10));
  if (major < LEAST_KERNEL[0] || (major === LEAST_KERNEL[0] && minor < LEAST_KERNEL[1])) {
    found.push({ text: `the kernel is ${kernel}, and io_uring as the engine needs it came with ${LEAST_KERNEL.join('.')}`, fix: 'Use a newer kernel, or stay on epoll.' });
  }
  const disabled = Number(read('/proc/sys/kernel/io_uring_disabled') ?? 0);
  if (disabled === 1) found.push({ text: 'the sysctl kernel.io_uring_disabled is 1: only the group kernel.io_uring_group and root may use io_uring', fix: 'Add the user to that group, or set kernel.io_uring_disabled to 0.' });
  if (disabled === 2) found.push({ text: 'the sysctl kernel.io_uring_disabled is 2: nobody may use io_uring', fix: 'Set kernel.io_uring_disabled to 0.' });
  // A filter need not concern io_uring: only one who was refused has to know of it.
  if (reason !== null && /^Seccomp:\s*2$/m.test(read('/proc/self/status') ?? '')) {
    found.push({ text: 'a seccomp filter is in force, as container runtimes set one that forbids io_uring', fix: 'Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile of the container.' });
  }
  if (reason !== null && /RLIMIT_MEMLOCK/.test(reason)) found.push({ text: 'the limit of locked memory (memlock) is too low for the rings', fix: 'Raise `ulimit -l`, or use fewer shards.' });
  if (/gvisor/i.test(read('/proc/version') ?? '')) found.push({ text: 'the kernel is gVisor, which has no io_uring by default', fix: 'Stay on epoll.' });
  return found;
}
