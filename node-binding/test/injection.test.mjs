// Whatever a caller or a handler puts into an answer stays where it belongs: no line and no answer is added by it.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { CORS, RawAnswer, task as bridgeTask, withBridge } from './support/bridges.mjs';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { E500, onBothDrivers, withTunnel } from './support/tunnels.mjs';

/** What would add a line, end the head, or begin another answer. */
const SPLITS = ['x\r\nevil: 1', 'x\nevil: 1', 'x\revil: 1', 'x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', 'x\0evil: 1', 'x\u010d\u010aevil: 1', 'x\u2028evil: 1', '\r\nevil: 1'];
const NAMES_OF_ANSWERS = new Set([
  'x-runner-request-id', 'access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers', 'access-control-allow-methods', 'access-control-allow-headers',
  'access-control-max-age', 'vary', 'content-type', 'content-length', 'transfer-encoding', 'x-content-type-options', 'x-frame-options', 'date', 'connection', 'keep-alive', 'allow', 'retry-after', 'x-good',
]);

/** Each line has a name that is known, once, and no control byte; and there is nothing behind the answer. */
function assertWhole({ status, reason, lines }, socket, what) {
  assert.match(`${status} ${reason}`, /^\d{3} [\x20-\x7e]*$/, what);
  const names = lines.map((line) => /^([!-9;-~]+): ([\t\x20-\x7e\x80-\xff]*)$/.exec(line)?.[1].toLowerCase());
  for (const [index, name] of names.entries()) assert.ok(NAMES_OF_ANSWERS.has(name), `${what}: ${JSON.stringify(lines[index])}`);
  assert.equal(new Set(names).size, names.length, `${what}: ${lines}`);
  assert.equal(socket.rest, '', what);
}

async function ask(server, bytes, what, options) {
  const socket = await RawSocket.connect(server);
  try {
    // As bytes: one character, one byte.
    await socket.write(Buffer.from(bytes, 'latin1'));
    const answer = await socket.answer(options);
    assertWhole(answer, socket, what);
    return answer;
  } finally {
    socket.destroy();
  }
}

const head = (method, path, line) => `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n${line}\r\n\r\n`;

onBothDrivers('nothing is injected', (driver) => {
  const tasks = { echo: (input) => input, id: (_input, { requestId }) => requestId };

  it('by request ids', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const usable = /^(?:[A-Za-z0-9._:-]{1,128})$/;
    for (const id of ['a b', 'a\tb', 'a\x0bevil', 'a\x7f', 'a\x85b', '\xff', 'a%0d%0aevil: 1', 'a,b', 'a;b', '"a"', '<script>', '\\r\\nevil', 'x'.repeat(129), '', '__proto__', 'ok-1.2:3_4']) {
      const path = '/__runner/task/id';
      for (const [method, target] of [['POST', path], ['GET', path], ['POST', '/elsewhere'], ['POST', '/__runner/task/none'], ['GET', '/__runner/discovery'], ['OPTIONS', path]]) {
        const { status, headers, body } = await ask(tunnel, head(method, target, `X-Runner-Request-Id: ${id}`), `${method} ${target} ${JSON.stringify(id)}`);
        const echoed = headers['x-runner-request-id'];
        // Preflights, other paths, and what is no head (a value with a control byte) have none.
        if (method === 'OPTIONS' || target === '/elsewhere' || /[\x0b\x7f]/.test(id)) {
          assert.equal(echoed, undefined, id);
          continue;
        }
        assert.match(echoed, usable, id);
        assert.equal(echoed === id, usable.test(id), id);
        if (status === 200 && target === path) assert.equal(JSON.parse(body).result, echoed);
      }
    }
    for (const split of SPLITS.slice(0, 5)) {
      // What is a line of its own in the request is none in the answer.
      await ask(tunnel, head('POST', '/__runner/task/id', `X-Runner-Request-Id: ${split}`).split('HTTP/1.1 200')[0], split);
    }
  }));

  it('by ids of tasks and events in the texts of errors', () => withTunnel({ driver, tasks }, async (tunnel) => {
    for (const id of [...SPLITS, '"}],"ok":true', '\\', '</script>', '\u2029', '\x7f', 'λ\u{1f600}', "'", '__proto__']) {
      for (const [kind, name] of [['task', 'Task'], ['event', 'Event']]) {
        const { status, body, headers } = await ask(tunnel, postBytes(`/__runner/${kind}/${encodeURIComponent(id)}`, '{}'), id);
        assert.equal(status, 403);
        assert.equal(headers['content-type'], 'application/json; charset=utf-8');
        assert.deepEqual(JSON.parse(body), { ok: false, error: { message: `${name} ${id} not exposed`, code: 'FORBIDDEN' } });
        assert.doesNotMatch(body, /[\0-\x1f]/);
      }
    }
  }));

  it('by what CORS echoes', async () => {
    const cors = { origin: ['https://app.example'], credentials: true };
    await withTunnel({ driver, tasks, cors }, async (tunnel) => {
      for (const origin of ['https://app.example\tx', 'https://app.example\x85', 'https://app.example, https://app.example', 'null', '*', 'https://app.example\x0b']) {
        for (const method of ['POST', 'OPTIONS']) {
          const { headers } = await ask(tunnel, head(method, '/__runner/task/id', `Origin: ${origin}`), origin);
          assert.equal(headers['access-control-allow-origin'], undefined, origin);
        }
      }
      for (const asked of ['x-a', 'x-a\tevil: 1', 'x-a\x85evil: 1', 'x-a, evil: 1', '\xff', 'x-a\x0bevil', 'x-a\x7f', `${'x'.repeat(8000)}`]) {
        const line = `Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: ${asked}`;
        const { status, headers } = await ask(tunnel, head('OPTIONS', '/__runner/task/id', line), asked);
        assert.ok(status === 204 || status === 400, `${status} ${JSON.stringify(asked)}`);
        assert.equal(headers.evil, undefined);
      }
    });
  });

  it('by a TaskError, whatever is in it', () => {
    const failing = {
      message: (text) => { throw new TaskError(text); },
      id: (text) => { throw new TaskError('m', { id: text, httpCode: 409 }); },
      data: (text) => { throw new TaskError('m', { data: { [text]: text } }); },
      code: (text) => { throw new TaskError('m', { httpCode: text }); },
      // As another copy of the package could have made it.
      late: (text) => { throw Object.assign(new TaskError('m'), { id: { toString: () => text }, httpCode: `409 ${text}` }); },
    };
    return withTunnel({ driver, tasks: failing }, async (tunnel) => {
      for (const text of SPLITS) {
        const error = async (kind) => {
          const { status, body } = await ask(tunnel, taskBytes(kind, text).replace(/[^\0-\xff]/g, (wide) => Buffer.from(wide).toString('latin1')), `${kind} ${JSON.stringify(text)}`);
          assert.doesNotMatch(body, /[\0-\x1f]/);
          return [status, JSON.parse(body).error];
        };
        assert.deepEqual(await error('message'), [500, { message: text, code: 'INTERNAL_ERROR' }]);
        assert.deepEqual(await error('id'), [409, { message: 'm', code: 'INTERNAL_ERROR', id: text, httpCode: 409 }]);
        assert.deepEqual(await error('data'), [500, { message: 'm', code: 'INTERNAL_ERROR', data: { [text]: text } }]);
        assert.deepEqual(await error('code'), [500, { message: 'm', code: 'INTERNAL_ERROR' }]);
        assert.deepEqual(await error('late'), [500, { message: 'm', code: 'INTERNAL_ERROR', id: text }]);
      }
    });
  });

  it('by header lines, types and statuses of streams', () => {
    const stream = () => Readable.from(['body']);
    const hostile = {
      value: (text) => ({ stream: stream(), headers: { 'x-good': text } }),
      values: (text) => ({ stream: stream(), headers: { 'x-good': ['fine', text] } }),
      name: (text) => ({ stream: stream(), headers: { [text]: 'x' } }),
      type: (text) => ({ stream: stream(), contentType: text }),
      length: (text) => ({ stream: stream(), headers: { 'content-length': `4${text}` } }),
      status: (text) => ({ stream: stream(), status: `200${text}` }),
      blob: (text) => ({ stream: new Blob(['body']), headers: { 'x-good': text } }),
    };
    const good = () => ({ stream: stream(), contentType: 'text/plain', headers: { 'x-good': 'é\tfine', 'content-length': 4 } });
    return withTunnel({ driver, tasks: { ...hostile, good } }, async (tunnel) => {
      assert.equal((await ask(tunnel, taskBytes('good', 1), 'good')).body, 'body');
      for (const text of SPLITS) {
        for (const id of Object.keys(hostile)) {
          const bytes = postBytes(`/__runner/task/${id}`, JSON.stringify({ input: text }).replace(/[^\0-\x7f]/g, (wide) => `\\u${wide.charCodeAt(0).toString(16).padStart(4, '0')}`));
          const { status, body } = await ask(tunnel, bytes, `${id} ${JSON.stringify(text)}`);
          assert.deepEqual([status, body], [500, E500], `${id} ${JSON.stringify(text)}`);
        }
      }
    });
  });

  it('by raw answers: lines, reasons, and an origin that a hook has given', () => {
    let split;
    const all = { cors: true, security: true };
    const raw = (id, make) => bridgeTask(id, () => make());
    const entries = [
      raw('value', () => new RawAnswer(200, [['x-good', split]], '', all)), raw('name', () => new RawAnswer(200, [[split, 'x']], '', all)), raw('reason', () => new RawAnswer(200, [], '', all, split)),
      raw('own', () => new RawAnswer(200, [['x-runner-request-id', split]], '', all)), raw('framing', () => new RawAnswer(200, [['content-length', split]], '', all)),
    ];
    return withBridge({ driver, cors: { ...CORS, originFromHook: true }, entries, hooks: { origin: () => split } }, async (bridge) => {
      for (split of SPLITS) {
        for (const { id } of entries) {
          const { status, headers } = await ask(bridge, taskBytes(id, 1, { origin: 'https://x' }), `${id} ${JSON.stringify(split)}`);
          assert.equal(status, 500, `${id} ${JSON.stringify(split)}`);
          assert.equal(headers['access-control-allow-origin'], undefined);
        }
      }
    });
  });

  it('by the response of a Runner app', async () => {
    const { fastTunnel } = exposuresFor(driver);
    const { r, useExposureContext } = R;
    const attempt = (id, use) => r.task(`app.${id}`).run(async ({ text }) => {
      const { res } = useExposureContext();
      try {
        use(res, text);
      } catch (error) {
        // What an app that does not look would do.
        if (!res.headersSent) return error.code ?? error.name;
      }
      if (!res.writableEnded) res.end('done');
      return undefined;
    }).build();
    const items = [
      attempt('set', (res, text) => res.setHeader('x-good', text)), attempt('list', (res, text) => res.setHeader('x-good', ['a', text])), attempt('name', (res, text) => res.setHeader(text, 'x')),
      attempt('append', (res, text) => res.appendHeader('x-good', text)), attempt('reason', (res, text) => res.writeHead(200, text)), attempt('message', (res, text) => { res.statusMessage = text; }),
      attempt('heads', (res, text) => res.writeHead(200, { 'x-good': text })), attempt('flat', (res, text) => res.writeHead(200, ['x-good', text])), attempt('status', (res, text) => { res.statusCode = `200${text}`; }),
    ];
    await withApp(fastTunnel, { items }, async ({ port }) => {
      for (const text of SPLITS) {
        for (const id of ['set', 'list', 'name', 'append', 'reason', 'message', 'heads', 'flat', 'status']) {
          const bytes = postBytes(`/__runner/task/app.${id}`, JSON.stringify({ input: { text } }).replace(/[^\0-\x7f]/g, (wide) => `\\u${wide.charCodeAt(0).toString(16).padStart(4, '0')}`), { 'x-runner-token': TOKEN });
          const { body, headers } = await ask({ port, host: '127.0.0.1' }, bytes, `${id} ${JSON.stringify(text)}`);
          assert.equal(headers.evil, undefined);
          assert.doesNotMatch(body, /evil/);
        }
      }
    });
  });
});
