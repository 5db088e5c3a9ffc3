// npm (also as npx) starts a shell that starts us, and hands SIGTERM to the shell alone: that dies, and we would serve on
// with nobody who knows of it.

/** How long it takes to notice, at most. */
const LOOK_MS = 250;

/** Under a package manager, makes the end of the process that has started us a SIGTERM. */
export function endWithParent(): void {
  if (process.env['npm_command'] === undefined && process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_MS);
  timer.unref();
}
