// The figures as lines of text, for a terminal of any width.
import type { Figures } from './figures.js';
import type { LoopReport, Report } from './report.js';

export interface Look {
  /** Where it comes from. */
  readonly shown: string;
  readonly columns: number;
  /** Tasks that are listed. */
  readonly tasks: number;
  /** Escape sequences may be used. */
  readonly styled: boolean;
}

type Style = 'bold' | 'dim' | 'bad' | 'good';
const STYLES: Readonly<Record<Style, string>> = { bold: '\x1b[1m', dim: '\x1b[2m', bad: '\x1b[31m', good: '\x1b[32m' };

/** A text, and how it looks. */
interface Cell {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** Milliseconds that an event loop may be late before it stands out. */
const LATE_MS = 200;
const NAME_COLUMNS = 28;

export function screen(report: Report, figures: Figures, look: Look): string[] {
  const title: Cell[] = [{ text: 'fasttunnel', style: 'bold' }, { text: look.shown }, report.ready === 'ok' ? { text: 'ready', style: 'good' } : { text: clean(report.ready), style: 'bad' }, { text: `${report.driver}, ${report.placement}, ${report.shards.length} shard${report.shards.length === 1 ? '' : 's'}` }, { text: `up ${span(report.upMs)}`, style: 'dim' }];
  const tiles = [
    ['calls/s', count(figures.callRate)], ['in flight', count(figures.inFlight)], ['queue', count(figures.waiting)], ['connections', count(figures.connections)],
    ['refusals/s', count(figures.refusalRate)], ['CPU', `${Math.round(figures.processors * 100)} %`], ['memory', bytes(report.process['residentMemoryBytes'] ?? 0)], ['held', bytes(figures.heldBytes)],
  ] as const;
  return [
    row(title, look),
    '',
    ...grid(tiles, look),
    '',
    ...table(['phase', 'p50', 'p99'], figures.phases.map(({ phase, p50Us, p99Us }) => [{ text: phase }, { text: time(p50Us) }, { text: time(p99Us) }]), look),
    '',
    ...table(['event loop', 'busy', 'late', 'most', 'running', 'waiting'], report.loops.map(loopRow), look, 'No event loop has said anything yet.'),
    '',
    ...table(['task', 'calls/s', 'mean', 'p99', 'errors'], figures.tasks.slice(0, look.tasks).map(({ name, rate, meanUs, p99Us, failed, recent }) => {
      const style = recent ? undefined : 'dim';
      return [{ text: name, style }, { text: count(rate), style }, { text: time(meanUs), style }, { text: time(p99Us), style }, { text: count(failed), style: failed > 0 ? 'bad' : style }];
    }), look, 'No task was called yet.'),
    '',
    ...table(['refused', 'a second', 'in all'], figures.refusals.map(({ reason, rate, total }) => [{ text: reason }, { text: count(rate), style: rate > 0 ? 'bad' : undefined }, { text: count(total) }]), look, 'Nothing was refused.'),
  ];
}

function loopRow({ loop, utilization, delayMs, delayMaxMs, ageMs, running, waiting }: LoopReport): Cell[] {
  // What says nothing any more is as busy as can be.
  const busy = ageMs > 3 * LATE_MS + 900 ? 1 : utilization;
  return [
    { text: loop }, { text: `${Math.round(busy * 100)} %`, style: busy > 0.9 ? 'bad' : undefined }, { text: time(delayMs * 1000), style: delayMs > LATE_MS ? 'bad' : undefined },
    { text: time(delayMaxMs * 1000) }, { text: count(running) }, { text: count(waiting), style: waiting > 0 ? 'bad' : undefined },
  ];
}

/** Nothing of a tunnel's may steer the terminal. */
function clean(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
}

function styled({ text, style }: Cell, look: Look): string {
  return look.styled && style !== undefined ? `${STYLES[style]}${text}\x1b[0m` : text;
}

/** Cells behind one another, as many as fit. */
function row(cells: readonly Cell[], look: Look): string {
  let [line, used] = ['', 0];
  for (const { text, style } of cells) {
    const room = look.columns - used - (used === 0 ? 0 : 3);
    if (room <= 0) break;
    const shown = clean(text).slice(0, room);
    line += (used === 0 ? '' : '   ') + styled({ text: shown, style }, look);
    used += shown.length + (used === 0 ? 0 : 3);
  }
  return line;
}

/** Names and values, four pairs in a line, or two where there is little room. */
function grid(pairs: readonly (readonly [string, string])[], look: Look): string[] {
  const across = look.columns >= 84 ? 4 : 2;
  const lines: string[] = [];
  for (let at = 0; at < pairs.length; at += across) {
    const cells = pairs.slice(at, at + across).map(([name, value]) => `${styled({ text: name.padEnd(11), style: 'dim' }, look)} ${styled({ text: value.padStart(7), style: 'bold' }, look)}`);
    lines.push(cells.join('  '));
  }
  return lines;
}

/** A heading, and lines of which the first column is text and all others are numbers. */
function table(heads: readonly string[], rows: readonly (readonly Cell[])[], look: Look, none = ''): string[] {
  const [name, ...numbers] = heads;
  const widths = numbers.map((head, column) => Math.max(head.length, 8, ...rows.map((cells) => cells[column + 1]!.text.length)));
  const most = Math.max(8, look.columns - widths.reduce((all, width) => all + width + 1, 0));
  const first = Math.min(NAME_COLUMNS, most);
  const nameOf = (text: string): string => {
    const safe = clean(text);
    return (safe.length > first ? `${safe.slice(0, first - 1)}…` : safe).padEnd(first);
  };
  const line = (cells: readonly Cell[]): string => [styled({ text: nameOf(cells[0]!.text), style: cells[0]!.style }, look), ...cells.slice(1).map(({ text, style }, column) => styled({ text: text.padStart(widths[column]!), style }, look))].join(' ');
  const head = line([{ text: name!, style: 'dim' }, ...numbers.map((text) => ({ text, style: 'dim' as const }))]);
  return rows.length === 0 ? [head, styled({ text: none, style: 'dim' }, look)] : [head, ...rows.map(line)];
}

function count(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

function time(us: number | undefined): string {
  if (us === undefined) return '-';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 1 : 0)} s`;
}

function bytes(value: number): string {
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : value >= 2 ** 20 ? `${Math.round(value / 2 ** 20)} MiB` : `${Math.round(value / 1024)} KiB`;
}

function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`;
}
