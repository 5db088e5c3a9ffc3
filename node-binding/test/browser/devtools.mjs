// Chromium by its DevTools protocol, over a pipe: commands, and events that are waited for.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Starts `program` with one page; `close()` ends it. */
export async function openBrowser(program) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-devtools-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--remote-debugging-pipe', `--user-data-dir=${folder}`, 'about:blank'];
  const browser = spawn(program, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => browser.once('error', resolve).once('exit', resolve));
  const [, , , commands, answers] = browser.stdio;
  commands.on('error', () => {});
  const waiting = new Map();
  const events = [];
  let [text, last] = ['', 0];
  answers.setEncoding('utf8').on('data', (piece) => {
    const messages = (text + piece).split('\0');
    text = messages.pop();
    for (const message of messages.map((json) => JSON.parse(json))) {
      if (message.id === undefined) events.push(message);
      else {
        waiting.get(message.id)?.(message);
        waiting.delete(message.id);
      }
    }
  });
  void ended.then(() => {
    for (const settle of waiting.values()) settle({ error: { message: 'the browser has ended' } });
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, ({ result, error }) => (error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`))));
    commands.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  });
  const { targetInfos } = await send('Target.getTargets');
  const { sessionId } = await send('Target.attachToTarget', { targetId: targetInfos.find(({ type }) => type === 'page').targetId, flatten: true });
  return {
    events,
    command: (method, params) => send(method, params, sessionId),
    /** The value of an expression in the page. */
    async evaluate(expression) {
      const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true }, sessionId);
      if (exceptionDetails !== undefined) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
      return result.value;
    },
    async close() {
      // Its processes are to end before their folder goes.
      const timer = setTimeout(() => browser.kill('SIGKILL'), 5000);
      await Promise.race([send('Browser.close').catch(() => {}), ended]);
      await ended;
      clearTimeout(timer);
      commands.destroy();
      answers.destroy();
      rmSync(folder, { recursive: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}
