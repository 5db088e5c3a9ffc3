// The 99th percentile over time, with the phases behind it, and the errors below.
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, ERRORS] = [960, 430, 60, 20, 64, 90, 60];
const WINDOW_MS = 500;
const BANDS = ['#f4f6f8', '#e6ebf0'];
const [BLUE, RED, GREY] = ['#0072b2', '#d55e00', '#555555'];

/** `calls` as Load has them. */
export function draw(calls) {
  const begin = calls[0].dueMs;
  const count = Math.max(1, Math.ceil((calls.at(-1).dueMs - begin) / WINDOW_MS));
  const windows = Array.from({ length: count }, () => ({ latencies: [], errors: 0 }));
  const bands = [];
  for (const { begun: phase, dueMs, doneMs, status } of calls) {
    const at = (dueMs - begin) / WINDOW_MS;
    const window = windows[Math.min(count - 1, Math.floor(at))];
    if (status === 200) window.latencies.push(doneMs - dueMs);
    else window.errors += 1;
    if (bands.at(-1)?.phase !== phase) bands.push({ phase, from: at });
  }
  const p99 = windows.map(({ latencies }) => latencies.sort((a, b) => a - b)[Math.ceil(latencies.length * 0.99) - 1]);
  const [least, most] = [1, Math.max(10, 10 ** Math.ceil(Math.log10(Math.max(...p99.filter(Boolean)))))];
  const x = (window) => LEFT + ((WIDTH - LEFT - RIGHT) * window) / count;
  const y = (ms) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.log(Math.max(least, ms) / least) / Math.log(most / least));
  const text = (at, up, anchor, value, colour = GREY) => `<text x="${at.toFixed(1)}" y="${up.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${value}</text>`;
  const shapes = [];
  for (const [index, { phase, from }] of bands.entries()) {
    const to = bands[index + 1]?.from ?? count;
    shapes.push(`<rect x="${x(from).toFixed(1)}" y="${TOP}" width="${(x(to) - x(from)).toFixed(1)}" height="${HEIGHT - TOP - 30}" fill="${BANDS[index % 2]}"/>`, text((x(from) + x(to)) / 2, TOP - 6 - 12 * (index % 3), 'middle', phase));
  }
  for (let ms = least; ms <= most; ms *= 10) shapes.push(`<path d="M${LEFT} ${y(ms).toFixed(1)}H${WIDTH - RIGHT}" stroke="#cccccc"/>`, text(LEFT - 6, y(ms) + 4, 'end', `${ms} ms`));
  const points = p99.flatMap((ms, index) => (ms === undefined ? [] : [`${x(index + 0.5).toFixed(1)},${y(ms).toFixed(1)}`]));
  shapes.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${BLUE}" stroke-width="2"/>`);
  const mostErrors = Math.max(1, ...windows.map(({ errors }) => errors));
  for (const [index, { errors }] of windows.entries()) {
    const height = (ERRORS * errors) / mostErrors;
    if (errors > 0) shapes.push(`<rect x="${x(index).toFixed(1)}" y="${(HEIGHT - 30 - height).toFixed(1)}" width="${Math.max(1, x(1) - x(0) - 1).toFixed(1)}" height="${height.toFixed(1)}" fill="${RED}"/>`);
  }
  const seconds = (count * WINDOW_MS) / 1000;
  const step = [1, 2, 5, 10, 20, 50, 100].find((one) => seconds / one <= 12) ?? 200;
  for (let second = 0; second <= seconds; second += step) shapes.push(text(x((second * 1000) / WINDOW_MS), HEIGHT - 14, 'middle', `${second} s`));
  shapes.push(text(LEFT, 16, 'start', '99th percentile of answered calls, every 0.5 s', BLUE), text(WIDTH - RIGHT, 16, 'end', `calls without an answer of a handler (highest bar: ${mostErrors})`, RED));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">\n<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>\n${shapes.join('\n')}\n</svg>\n`;
}
