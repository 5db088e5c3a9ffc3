// What the suites share: both drivers, tunnels that are closed again, small HTTP helpers.
import { describe } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { placed } from './placed.mjs';

/** The answer to a handler that failed without a TaskError. */
export const E500 = '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}';

/** Every suite that touches the network runs on both; FASTTUNNEL_TEST_DRIVER picks one. */
const CHOSEN = process.env.FASTTUNNEL_TEST_DRIVER;
const DRIVERS = CHOSEN ? [CHOSEN] : ['io_uring', 'epoll'];

/** Why io_uring suites cannot run here (a container that forbids it), or false. A driver chosen by name is never skipped. */
const withoutRing = CHOSEN ? false : await reasonForEpoll();

async function reasonForEpoll() {
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true } });
  const { driver, driverReason } = tunnel;
  await tunnel.close();
  return driver === 'epoll' && `no io_uring here: ${driverReason}`;
}

export function onBothDrivers(name, suite, { skip = false } = {}) {
  for (const driver of DRIVERS) describe(`${name} (${driver})`, { skip: skip || (driver === 'io_uring' && withoutRing) }, () => suite(driver));
}

/** Runs a suite on both drivers at a time: for suites that mostly wait, and do not measure how long. */
export function onBothDriversAtOnce(name, suite) {
  describe(name, { concurrency: DRIVERS.length }, () => onBothDrivers(name, suite));
}

/** Opens a tunnel for one test and closes it whatever happens. Anonymous, silent, any free port. */
export async function withTunnel(options, body) {
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, onError: () => {}, ...placed(options), ...options });
  try {
    return await body(tunnel);
  } finally {
    await tunnel.close();
  }
}

/** POSTs a JSON body to a task or event; returns status, headers and text. */
export async function post(tunnel, path, body, init = {}) {
  const response = await fetch(`${tunnel.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export const callTask = (tunnel, id, input, init) => post(tunnel, `/task/${encodeURIComponent(id)}`, { input }, init);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `check` returns something truthy. */
export async function until(check, what, timeoutMs = 5000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await sleep(10);
  }
}

/** Uncaught errors of this process, while `body` runs. */
export async function uncaught(body) {
  const errors = [];
  const note = (error) => errors.push(error);
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  try {
    await body();
    await sleep(20);
  } finally {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  }
  return errors;
}
