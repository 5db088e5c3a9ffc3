// The dashboard in Chromium: in light, dark and on a phone, and while JavaScript of the tunnel is blocked. `make dashboard`
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RawSocket, taskBytes } from '../support/raw-socket.mjs';
import { callTask, sleep, until } from '../support/tunnels.mjs';
import { openBrowser } from './devtools.mjs';

const program = process.argv[2] ?? 'chromium-headless-shell';
const SCREENS = fileURLToPath(new URL('../../../target/dashboard/', import.meta.url));
const LOOKS = [
  { name: 'light', scheme: 'light', width: 1280, height: 900 },
  { name: 'dark', scheme: 'dark', width: 1280, height: 900 },
  { name: 'phone', scheme: 'light', width: 390, height: 844 },
  { name: 'phone-dark', scheme: 'dark', width: 390, height: 844 },
];

const child = fork(fileURLToPath(new URL('../fixtures/overloaded.mjs', import.meta.url)), { env: { ...process.env, OPTIONS: JSON.stringify({ shards: 2, admin: { dashboard: true } }) } });
const [{ port, admin }] = await once(child, 'message');
const server = { host: '127.0.0.1', port };
let calling = true;
/** Calls tasks one after the other, some of them in vain. */
async function callOn(tasks) {
  const socket = await RawSocket.connect(server);
  for (let call = 0; calling; call++) {
    await socket.write(taskBytes(...tasks[call % tasks.length]));
    await socket.answer({ timeoutMs: 20_000 });
  }
  socket.destroy();
}
const browser = await openBrowser(program);
const text = (selector) => browser.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`);
const rows = (id) => browser.evaluate(`[...document.querySelectorAll('#${id} tr')].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))`);
const callers = [];
try {
  callers.push(callOn([['echo', 'x']]), callOn([['spin', 2], ['echo', 1], ['unknown', 1]]), callOn([['sleepAndSpin', 1]]));
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await browser.command(`${domain}.enable`);
  await browser.command('Page.navigate', { url: `${admin.url}/dashboard` });
  await until(() => text('#state').then((state) => state === 'ready').catch(() => false), 'the page is alive', 20_000);
  await sleep(6000);

  // What it shows is what was done; also of a task whose id is a script.
  const SCRIPT = '<img src=x onerror="document.title=1">';
  assert.equal((await callTask({ url: `http://127.0.0.1:${port}/__runner` }, SCRIPT, 1)).status, 200);
  await until(async () => (await rows('tasks')).length === 4, 'it has seen that');
  assert.deepEqual([await browser.evaluate('document.title'), await browser.evaluate("document.querySelectorAll('img').length")], ['fasttunnel', 0]);
  const tasks = await rows('tasks');
  assert.deepEqual(tasks.map(([name]) => name).sort(), [SCRIPT, 'echo', 'sleepAndSpin', 'spin'], JSON.stringify(tasks));
  const rate = Number(tasks.find(([name]) => name === 'echo')[1].replace('k', '00').replace('.', ''));
  assert.ok(rate > 10, JSON.stringify(tasks));
  assert.deepEqual((await rows('phases')).map(([name, p50]) => [name, /\d (µs|ms)$/.test(p50)]), ['parse', 'queue', 'js', 'write'].map((name) => [name, true]));
  assert.deepEqual((await rows('loops')).map(([name]) => name), ['main']);
  assert.ok((await rows('refusals')).some(([name]) => name.startsWith('403')), 'the unknown task');
  assert.ok((await browser.evaluate("document.querySelector('#calls polyline').points.length")) >= 5, 'a curve grows');

  mkdirSync(SCREENS, { recursive: true });
  for (const { name, scheme, width, height } of LOOKS) {
    await browser.command('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    await browser.command('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await sleep(1200);
    assert.ok(await browser.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${name}: nothing is wider than the page`);
    const wide = await browser.evaluate("[...document.querySelectorAll('table, .tile p')].filter((one) => one.scrollWidth > one.parentElement.clientWidth - 24).map((one) => one.innerText)");
    assert.deepEqual(wide, [], `${name}: nothing is wider than its card`);
    const dark = await browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).every((part) => part < 60)");
    assert.equal(dark, scheme === 'dark', name);
    const { data } = await browser.command('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    writeFileSync(join(SCREENS, `${name}.png`), data, 'base64');
  }

  // JavaScript of the tunnel is busy with one thing for four seconds.
  const before = await browser.evaluate("document.querySelector('#loops tr').cells[3].innerText");
  const blocker = await RawSocket.connect(server);
  await blocker.write(taskBytes('block', 4000));
  await until(async () => (await text('#state')) === 'javascript is behind', 'the page says what is wrong', 3800);
  const up = await text('#facts');
  const late = (await rows('loops'))[0][2];
  await sleep(1100);
  assert.notEqual(await text('#facts'), up, 'it goes on');
  assert.match(late, /^\d.* (ms|s)$/);
  const { data } = await browser.command('Page.captureScreenshot', { format: 'png' });
  writeFileSync(join(SCREENS, 'blocked.png'), data, 'base64');
  assert.equal((await blocker.answer({ timeoutMs: 20_000 })).status, 200);
  await until(async () => (await text('#state')) === 'ready', 'it is ready again');
  assert.notEqual((await rows('loops'))[0][3], before, 'the most that a loop was late');

  // Nothing came from elsewhere, and nothing was forbidden or went wrong.
  const asked = browser.events.filter(({ method }) => method === 'Network.requestWillBeSent').map(({ params }) => params.request.url);
  assert.deepEqual(asked.filter((url) => !url.startsWith(`${admin.url}/dashboard`) && !url.startsWith('data:')), []);
  const wrong = browser.events.filter(({ method, params }) => method === 'Runtime.exceptionThrown' || (method === 'Log.entryAdded' && params.entry.level === 'error'));
  assert.deepEqual(wrong.map(({ params }) => params.entry?.text ?? params.exceptionDetails.text), []);

  // The tunnel goes: the page says so.
  calling = false;
  await Promise.all(callers);
  child.disconnect();
  await once(child, 'exit');
  await until(async () => (await text('#state')) === 'not connected', 'it says that nobody is there');
  assert.ok(await browser.evaluate("document.getElementById('main').classList.contains('stale')"));
  console.log(`the dashboard is as it should be in ${program}; screenshots are in ${SCREENS}`);
} finally {
  calling = false;
  await browser.close();
  child.kill('SIGKILL');
}
