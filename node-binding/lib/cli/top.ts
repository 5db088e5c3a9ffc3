// `fasttunnel top`: what a tunnel does, as its admin listener tells it, in a terminal.
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, EXIT } from './command.js';
import type { Given } from './command.js';
import { ask, textOf } from './exchange.js';
import { asTarget } from './target.js';
import type { Target } from './target.js';
import { figuresOf } from './top/figures.js';
import { asReport } from './top/report.js';
import type { Report } from './top/report.js';
import { screen } from './top/screen.js';
import type { Look } from './top/screen.js';
import { Terminal } from './top/terminal.js';

const TIMEOUT_MS = 5000;
/** Columns where there is no terminal. */
const PLAIN_COLUMNS = 100;

export async function top(given: Given): Promise<number> {
  const target = asTarget(given.operands[0]!);
  const [intervalMs, tasks] = [given.number('interval-ms')!, given.number('tasks')!];
  const first = await read(target);
  if (given.flag('once') || !process.stdout.isTTY) {
    await sleep(intervalMs);
    const now = await read(target);
    const look = { shown: target.shown, columns: process.stdout.columns ?? PLAIN_COLUMNS, tasks, styled: false };
    process.stdout.write(`${screen(now, figuresOf(now, first), look).map((line) => line.trimEnd()).join('\n')}\n`);
    return EXIT.fine;
  }
  await refresh(target, first, intervalMs, tasks);
  return EXIT.fine;
}

/** Shows it again and again, until the user has seen enough. */
async function refresh(target: Target, first: Report, intervalMs: number, tasks: number): Promise<void> {
  const terminal = new Terminal();
  const ending = new AbortController();
  terminal.enter(() => ending.abort());
  const lookNow = (): Look => ({ shown: target.shown, columns: terminal.columns, tasks, styled: process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '' });
  try {
    let [before, now] = [first, first];
    while (!ending.signal.aborted) {
      const lines = screen(now, figuresOf(now, before), lookNow());
      terminal.show([...lines, '', 'q ends']);
      await sleep(intervalMs, undefined, { signal: ending.signal });
      try {
        const next = await read(target);
        [before, now] = [now, next];
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        terminal.show([...lines, '', error.message.split('\n')[0]!, 'q ends']);
        await sleep(intervalMs, undefined, { signal: ending.signal });
      }
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  } finally {
    terminal.leave();
  }
}

/** What the tunnel tells now. */
async function read(target: Target): Promise<Report> {
  const answer = await ask(target, { method: 'GET', path: '/stats', headers: { accept: 'application/json' }, body: '', timeoutMs: TIMEOUT_MS });
  const text = await textOf(target, answer);
  const report = answer.statusCode === 200 ? asReport(text) : undefined;
  if (report === undefined) {
    throw new CommandError(`${target.shown} answers /stats with ${answer.statusCode}, and no figures. Give the address of the option admin (\`serve --admin-port\`), not that of the tunnel.`);
  }
  return report;
}
