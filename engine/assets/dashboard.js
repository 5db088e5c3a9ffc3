// Shows what the tunnel tells once a second. All figures count from the start: what is shown is the difference of two reports.

/** Reports that are remembered: two minutes. */
const REMEMBERED = 120;
/** Curves begin with room for so many: a short one is better seen. */
const SPAN = 30;
/** Over so many seconds quantiles and rates of tasks are taken. */
const WINDOW = 10;
const TASKS = 10;
const PHASES = ['parse', 'queue', 'js', 'write'];
const SVG = 'http://www.w3.org/2000/svg';

const STATUSES = {
  400: 'malformed', 401: 'token', 403: 'not exposed, or not let in', 404: 'not found', 405: 'method', 408: 'too slow', 413: 'body too large', 414: 'target too long',
  415: 'type of the body', 417: 'expectation', 429: 'too many requests', 431: 'head too large', 499: 'client has left', 500: 'handler failed', 501: 'not implemented', 503: 'overload or stop',
  504: 'handler timeout', 505: 'version of HTTP',
};
const COUNTERS = { turnedAway: 'too many connections', evicted: 'no memory', overloaded: 'too many calls', shed: 'waited too long' };

const reports = [];
const trends = { calls: [], ...Object.fromEntries(PHASES.map((phase) => [phase, []])) };
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Puts rows into a table, or says that there are none. */
function fill(id, rows, columns, none) {
  byId(id).replaceChildren(...(rows.length > 0 ? rows : [element('tr', {}, element('td', { class: 'none', colspan: columns }, none))]));
}

const cell = (text, kind = '') => element('td', kind === '' ? {} : { class: kind }, text);
const heading = (text) => element('th', { scope: 'row', class: 'name', title: text }, text);

function count(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

function time(us) {
  if (us === undefined) return '–';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 1 : 0)} s`;
}

function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${Math.round(value / 2 ** 20)} MiB`;
}

function span(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`;
}

const sum = (report, pick) => report.shards.reduce((all, shard) => all + pick(shard), 0);

/** How many took at most so many µs, between two reports: pairs of a bound and a number, which grow. */
function between(now, before) {
  return now.map(([bound, upTo], index) => [bound, upTo - (before?.[index]?.[1] ?? 0)]);
}

/** The time that `share` of `total` did not exceed: somewhere in its bucket, as if they were spread evenly in it. */
function quantile(buckets, total, share) {
  if (total <= 0) return undefined;
  const rank = share * total;
  let [low, below] = [0, 0];
  for (const [bound, upTo] of buckets) {
    if (upTo >= rank) return low + ((bound - low) * (rank - below)) / Math.max(1, upTo - below);
    [low, below] = [bound, upTo];
  }
  return low;
}

/** The buckets of a phase, of all shards together. */
function phaseBuckets(report, phase) {
  const all = report.shards.map((shard) => shard.phases[phase].buckets);
  return (all[0] ?? []).map(({ leUs }, index) => [leUs, all.reduce((total, buckets) => total + buckets[index].count, 0)]);
}

/** What happened in a phase between two reports. */
function phaseFigures(now, before, phase) {
  const total = (report) => (report === undefined ? 0 : sum(report, (shard) => shard.phases[phase].count));
  const buckets = between(phaseBuckets(now, phase), before && phaseBuckets(before, phase));
  const calls = total(now) - total(before);
  return { p50: quantile(buckets, calls, 0.5), p99: quantile(buckets, calls, 0.99) };
}

/** A curve of what is remembered, the newest at the right. */
function curve(values, height, most) {
  const svg = document.createElementNS(SVG, 'svg');
  const draw = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    svg.append(made);
  };
  const width = Math.max(SPAN, values.length);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const left = width - values.length + 1;
  const points = values.map((value, index) => `${left + index},${(height - 2 - ((value ?? 0) / most) * (height - 4)).toFixed(2)}`);
  if (height > 40) for (const share of [0, 0.5, 1]) draw('line', { class: 'grid', x1: 0, x2: width, y1: 2 + share * (height - 4), y2: 2 + share * (height - 4) });
  if (points.length > 1) {
    draw('polygon', { class: 'area', points: `${left},${height} ${points.join(' ')} ${width},${height}` });
    draw('polyline', { class: 'curve', points: points.join(' ') });
  }
  return svg;
}

/** The next number that ends a scale well: 1, 2 or 5 with zeros. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

function remember(list, value) {
  list.push(value);
  if (list.length > REMEMBERED) list.shift();
}

function showState(state) {
  const pill = byId('state');
  pill.textContent = state === 'ok' ? 'ready' : state;
  pill.className = `pill ${state === 'ok' ? 'good' : state === 'closing' || state === 'starting' ? 'warn' : 'bad'}`;
}

function showTiles(now, last, seconds) {
  const rate = (pick) => Math.max(0, (sum(now, pick) - sum(last, pick)) / seconds);
  const cpu = Math.max(0, ((now.process.cpuSeconds - last.process.cpuSeconds) / seconds) * 100);
  const waiting = now.loops.reduce((all, { waiting: here }) => all + here, 0);
  const tile = (name, value, note) => element('div', { class: 'tile' }, element('p', {}, name), element('strong', {}, value), element('p', {}, note));
  byId('tiles').replaceChildren(
    tile('calls a second', count(rate((shard) => shard.calls)), `${count(sum(now, (shard) => shard.calls))} in all`),
    tile('in flight', count(sum(now, (shard) => shard.inFlight)), `${count(now.live)} in handlers`),
    tile('queue', count(waiting), `calls; at most ${count(Math.max(0, ...now.shards.map((shard) => shard.queueDepthMax)))} batches`),
    tile('connections', count(sum(now, (shard) => shard.connections)), `${count(sum(now, (shard) => shard.accepted))} accepted`),
    tile('CPU', `${cpu.toFixed(0)} %`, 'of one processor'),
    tile('memory', bytes(now.process.residentMemoryBytes), `${bytes(sum(now, (shard) => shard.heldBytes))} held for calls`),
  );
}

function showCalls() {
  const values = trends.calls;
  const most = roundUp(Math.max(...values, 1));
  const scale = element('div', { class: 'scale' }, element('span', {}, `${Math.max(SPAN, values.length)} s ago`), element('span', {}, `top: ${count(most)}`), element('span', {}, 'now'));
  byId('calls').replaceChildren(curve(values, 130, most), scale);
}

function showPhases(now, before, last) {
  fill('phases', PHASES.map((phase) => {
    remember(trends[phase], phaseFigures(now, last, phase).p99);
    const { p50, p99 } = phaseFigures(now, before, phase);
    const trend = element('td', { class: 'trend' }, curve(trends[phase], 20, Math.max(...trends[phase].map((value) => value ?? 0), 1)));
    return element('tr', {}, element('th', { scope: 'row' }, phase), cell(time(p50)), cell(time(p99)), trend);
  }), 4, '');
}

function showLoops(now) {
  fill('loops', now.loops.map(({ loop, utilization, delayMs, delayMaxMs, running, waiting, ageMs }) => {
    // What says nothing any more is as busy as can be.
    const busy = ageMs > 1500 ? 1 : utilization;
    const meter = element('meter', { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0.1, value: busy.toFixed(2), 'aria-label': 'busy' });
    const share = element('td', {}, meter, `${Math.round(busy * 100)} %`);
    return element('tr', {}, element('th', { scope: 'row' }, loop), share, cell(time(delayMs * 1000), delayMs > 200 ? 'hot' : ''), cell(time(delayMaxMs * 1000), 'soft'), cell(count(running)), cell(count(waiting), waiting > 0 ? 'hot' : ''));
  }), 6, 'No event loop has said anything yet.');
}

function showTasks(now, before, seconds) {
  const known = new Map((before?.tasks ?? []).map((task) => [`${task.kind} ${task.id}`, task]));
  const all = now.tasks.map((task) => {
    const old = known.get(`${task.kind} ${task.id}`);
    const calls = task.count - (old?.count ?? 0);
    const since = calls > 0 ? old : undefined;
    const total = task.count - (since?.count ?? 0);
    return {
      name: task.kind === 'other' ? '(all others)' : task.kind === 'event' ? `${task.id} (event)` : task.id,
      rate: calls / seconds, recent: calls > 0, mean: total > 0 ? (task.sumUs - (since?.sumUs ?? 0)) / total : 0,
      p99: quantile(between(task.buckets, since?.buckets), total, 0.99), failed: task.failed,
    };
  });
  all.sort((a, b) => Number(b.recent) - Number(a.recent) || b.mean - a.mean);
  fill('tasks', all.slice(0, TASKS).map(({ name, rate, recent, mean, p99, failed }) => {
    const kind = recent ? '' : 'soft';
    return element('tr', {}, heading(name), cell(count(rate), kind), cell(time(mean), kind), cell(time(p99), kind), cell(count(failed), failed > 0 ? 'hot' : 'soft'));
  }), 5, 'No task was called yet.');
}

function showRefusals(now, last, seconds) {
  const told = new Map();
  const add = (name, total, earlier) => {
    if (total > 0) told.set(name, { total, rate: Math.max(0, total - earlier) / seconds });
  };
  const of = (report, status) => sum(report, (shard) => shard.refusals[status] ?? 0);
  for (const [status, why] of Object.entries(STATUSES)) add(`${status} ${why}`, of(now, status), of(last, status));
  for (const [name, why] of Object.entries(COUNTERS)) add(why, sum(now, (shard) => shard[name]), sum(last, (shard) => shard[name]));
  const rows = [...told].sort(([, a], [, b]) => b.rate - a.rate || b.total - a.total);
  fill('refusals', rows.map(([name, { rate, total }]) => element('tr', {}, heading(name), cell(count(rate), rate > 0 ? 'hot' : 'soft'), cell(count(total)))), 3, 'Nothing was refused.');
}

function show(now) {
  // It was started anew: what was before is of another process.
  if (now.upMs < (reports.at(-1)?.upMs ?? 0)) {
    reports.length = 0;
    for (const trend of Object.values(trends)) trend.length = 0;
  }
  const last = reports.at(-1) ?? now;
  const before = reports.at(-WINDOW) ?? reports[0];
  const seconds = Math.max(0.001, (now.upMs - last.upMs) / 1000);
  remember(trends.calls, Math.max(0, (sum(now, (shard) => shard.calls) - sum(last, (shard) => shard.calls)) / seconds));
  showState(now.ready);
  byId('facts').textContent = `up ${span(now.upMs)} · ${now.driver} · ${now.shards.length} ${now.placement === 'inline' ? 'inline' : now.shards.length === 1 ? 'shard' : 'shards'}`;
  showTiles(now, last, seconds);
  showCalls();
  showPhases(now, before, last);
  showLoops(now);
  showTasks(now, before, Math.max(0.001, (now.upMs - (before?.upMs ?? 0)) / 1000));
  showRefusals(now, last, seconds);
  remember(reports, now);
  byId('main').classList.remove('stale');
}

const events = new EventSource('dashboard/events');
events.addEventListener('message', ({ data }) => show(JSON.parse(data)));
events.addEventListener('error', () => {
  showState('not connected');
  byId('main').classList.add('stale');
  // A refusal (too many viewers) ends it; a lost connection does not.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
});
