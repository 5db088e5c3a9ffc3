// handleRequest, handleTask, handleEvent, handleDiscovery: what they answer is what those of nodeExposure answer, to requests
// of servers and to the stand-ins of unit tests.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { it } from 'node:test';
import { Readable, Writable } from 'node:stream';
import { serve, withHandlers } from './support/foreign-servers.mjs';
import { exposuresFor, R, TOKEN } from './support/runner-apps.mjs';
import { onBothDrivers, until } from './support/tunnels.mjs';

const { r, useExposureContext } = R;
const heard = [];
const add = r.task('app.tasks.add').run(async ({ a, b }) => a + b).build();
const fails = r.task('app.tasks.fails').run(async () => { throw new Error('secret'); }).build();
const notify = r.event('app.events.notify').build();
const hook = r.hook('app.hooks.notify').on(notify).run(async ({ data }) => { heard.push(data); }).build();
const items = [add, fails, notify, hook];

const TASK = '/__runner/task/app.tasks.add';
const EVENT = '/__runner/event/app.events.notify';
const HANDLERS = ['handleRequest', 'handleTask', 'handleEvent', 'handleDiscovery'];

/** Method, target, body, header lines besides the token. */
const REQUESTS = [
  ['POST', TASK, '{"input":{"a":1,"b":2}}'],
  ['POST', `${TASK}?x=1`, '{"a":1,"b":2}'],
  ['POST', TASK, '{"input":'],
  ['POST', TASK, '{}', { 'x-runner-token': 'wrong' }],
  ['POST', TASK, '{"a":1,"b":2}', { 'x-runner-request-id': 'mine-1' }],
  ['GET', TASK, ''],
  ['OPTIONS', TASK, '', { origin: 'https://a.example', 'access-control-request-headers': 'x-a' }],
  ['POST', '/__runner/task/app.tasks.fails', '{}'],
  ['POST', '/__runner/task/hidden', '{}'],
  ['POST', '/__runner/task/', '{}'],
  ['POST', EVENT, '{"payload":{"n":1}}'],
  ['POST', EVENT, '{"payload":1,"returnPayload":true}'],
  ['OPTIONS', EVENT, ''],
  ['GET', '/__runner/discovery', ''],
  ['POST', '/__runner/discovery', ''],
  ['POST', '/__runner', ''],
  ['OPTIONS', '/__runner/nothing', ''],
  ['GET', '/outside', ''],
  ['POST', '/outside/task/app.tasks.add', '{"a":1,"b":2}'],
  ['OPTIONS', '/outside', '', { origin: 'https://a.example' }],
];
/** nodeExposure's handleDiscovery knows no preflight: 405. Ours answers it, as its handleRequest does. */
const DEPARTS = (handler, method) => handler === 'handleDiscovery' && method === 'OPTIONS';
const VOLATILE = ['date', 'x-runner-request-id', 'allow'];

onBothDrivers('handlers', (driver) => {
  const { fastTunnel, nodeExposure } = exposuresFor(driver);

  for (const handler of HANDLERS) {
    it(`${handler}: requests of a server`, async () => {
      const outcomes = [];
      for (const exposure of [nodeExposure, fastTunnel]) {
        outcomes.push(await withHandlers(exposure, { items }, ({ value }) => serve((request, response) => {
          // Without its object, as those of nodeExposure may be used.
          const handle = value[handler];
          handle(request, response).then((handled) => {
            if (handled === false) response.end('not handled');
            else if (handler !== 'handleRequest') assert.equal(handled, undefined);
          });
        }, async (port) => {
          const seen = [];
          for (const [method, target, body, lines] of REQUESTS) {
            if (DEPARTS(handler, method)) continue;
            const response = await fetch(`http://127.0.0.1:${port}${target}`, { method, headers: { 'x-runner-token': TOKEN, 'content-type': 'application/json', ...lines }, ...(body === '' ? {} : { body }) });
            const names = [...response.headers].filter(([name]) => !VOLATILE.includes(name) && !(response.status === 204 && name === 'content-length'));
            const id = response.headers.get('x-runner-request-id');
            seen.push({ method, target, status: response.status, id: id?.length === 36 ? 'fresh' : id, headers: Object.fromEntries(names), text: await response.text() });
          }
          return seen;
        })));
      }
      assert.deepEqual(outcomes[1], outcomes[0]);
    });
  }

  it('handleDiscovery answers preflights', () => withHandlers(fastTunnel, { items }, ({ value }) => serve(value.handleDiscovery, async (port) => {
    assert.equal((await fetch(`http://127.0.0.1:${port}/anything`, { method: 'OPTIONS' })).status, 204);
  })));

  /** A readable with the three things that it takes. */
  const readable = ({ method = 'POST', url = TASK, headers = {}, pieces = ['{"input":', '{"a":1,"b":2}}'], ...more }) => {
    const request = new Readable({ read() {} });
    setImmediate(() => {
      for (const piece of pieces ?? []) request.push(piece);
      if (pieces !== null) request.push(null);
    });
    return Object.assign(request, { method, url, headers: { 'x-runner-token': TOKEN, 'content-type': 'application/json', ...headers }, ...more });
  };
  /** Something with `on` and nothing else, which sends its body when somebody listens. */
  const listenable = ({ method = 'POST', url = TASK, body = '{"input":{"a":1,"b":2}}' }) => {
    const listeners = new Map();
    return {
      method, url, headers: { 'x-runner-token': TOKEN },
      on(event, listener) {
        listeners.set(event, [...(listeners.get(event) ?? []), listener]);
        if (event === 'end') setImmediate(() => { listeners.get('data')?.forEach((one) => one(Buffer.from(body))); listeners.get('end').forEach((one) => one()); });
        return this;
      },
    };
  };
  const responses = {
    'that can be written to': () => {
      const pieces = [];
      const emitter = new EventEmitter();
      return {
        statusCode: 0, lines: {}, headersSent: false, writableEnded: false, emitter,
        setHeader(name, value) { this.lines[name.toLowerCase()] = String(value); },
        getHeader(name) { return this.lines[name.toLowerCase()]; },
        write(piece) { pieces.push(Buffer.from(piece)); this.headersSent = true; },
        end(piece) { if (piece !== undefined) this.write(piece); this.writableEnded = true; },
        on: (...given) => emitter.on(...given), once: (...given) => emitter.once(...given), off: (...given) => emitter.off(...given), removeListener: (...given) => emitter.off(...given),
        get text() { return Buffer.concat(pieces).toString(); },
      };
    },
    'that can only be ended': () => ({ statusCode: 0, lines: {}, text: '', setHeader(name, value) { this.lines[name.toLowerCase()] = String(value); }, end(whole) { this.text = String(whole ?? ''); } }),
    'that says at once that its headers are sent': () => ({ statusCode: 0, lines: {}, headersSent: false, text: '', setHeader(name, value) { this.lines[name.toLowerCase()] = String(value); this.headersSent = true; }, write(piece) { this.text += piece; }, end(piece) { this.text += piece ?? ''; } }),
    'that is a stream': () => {
      const pieces = [];
      const stream = new Writable({ write: (piece, _encoding, done) => { pieces.push(piece); done(); } });
      Object.defineProperty(stream, 'text', { get: () => Buffer.concat(pieces).toString() });
      return Object.assign(stream, { statusCode: 0, lines: {}, setHeader(name, value) { this.lines[name.toLowerCase()] = String(value); } });
    },
  };

  for (const [what, make] of Object.entries(responses)) {
    it(`stand-ins: a response ${what}`, () => withHandlers(fastTunnel, { items }, async ({ value }) => {
      for (const request of [readable({}), readable({ rawHeaders: [] }), readable({ headers: { 'content-type': ['application/json'], 'content-length': '23' } }), listenable({})]) {
        const response = make();
        assert.equal(await value.handleRequest(request, response), true);
        assert.deepEqual([response.statusCode, String(response.text), response.lines['content-type']], [200, '{"ok":true,"result":3}', 'application/json; charset=utf-8']);
        assert.equal(response.lines.connection, undefined);
      }
      const response = make();
      assert.equal(await value.handleRequest(readable({ url: '/elsewhere' }), response), false);
      assert.deepEqual([response.statusCode, response.text, response.lines], [0, '', {}]);
    }));
  }

  it('stand-ins: the same statuses as from nodeExposure', async () => {
    const outcomes = [];
    for (const exposure of [nodeExposure, fastTunnel]) {
      outcomes.push(await withHandlers(exposure, { items }, async ({ value }) => {
        const seen = [];
        for (const [handler, options] of [
          ['handleTask', {}], ['handleTask', { url: EVENT }], ['handleTask', { url: '/elsewhere' }], ['handleTask', { pieces: ['{"a":'] }], ['handleTask', { pieces: [] }],
          ['handleTask', { method: 'GET' }], ['handleTask', { method: 'OPTIONS', pieces: [] }], ['handleTask', { headers: { 'x-runner-token': undefined } }], ['handleTask', { url: '/__runner/task/hidden' }],
          ['handleEvent', { url: EVENT }], ['handleEvent', { url: EVENT, pieces: ['{"payload":[1],"returnPayload":true}'] }], ['handleEvent', {}],
          ['handleDiscovery', { method: 'GET', url: '/any', pieces: [] }], ['handleDiscovery', { url: '/any', pieces: [] }],
        ]) {
          const response = responses['that can be written to']();
          await value[handler](readable(options), response);
          seen.push([handler, options, response.statusCode, response.text, Object.keys(response.lines).filter((name) => name !== 'allow' && name !== 'content-length').sort()]);
        }
        return seen;
      }));
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
  });

  it('stand-ins: whoever leaves', async () => {
    const outcomes = [];
    for (const exposure of [nodeExposure, fastTunnel]) {
      const events = [];
      const wait = r.task('app.tasks.wait').run(async () => {
        const { signal } = useExposureContext();
        events.push('started');
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        events.push(signal.reason.data.reason);
        throw signal.reason;
      }).build();
      outcomes.push(await withHandlers(exposure, { items: [wait] }, async ({ value }) => {
        const url = '/__runner/task/app.tasks.wait';
        const byRequest = responses['that can be written to']();
        const request = readable({ url, pieces: ['{}'] });
        const first = value.handleTask(request, byRequest);
        await until(() => events.length === 1, 'it runs');
        request.emit('aborted');
        await first;
        await until(() => events.length === 2, 'it hears of it');
        const byResponse = responses['that can be written to']();
        const second = value.handleTask(readable({ url, pieces: ['{}'] }), byResponse);
        await until(() => events.length === 3, 'it runs again');
        byResponse.emitter.emit('close');
        await second;
        await until(() => events.length === 4, 'it hears of it again');
        return { events, statuses: [byRequest.statusCode, byResponse.statusCode], text: byRequest.text };
      }));
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
    assert.deepEqual(outcomes[1].events, ['started', 'Client Closed Request', 'started', 'Client Closed Request']);
  });

  it('stand-ins: nonsense is refused, nothing is sent on', () => withHandlers(fastTunnel, { items }, async ({ value }) => {
    for (const options of [{ headers: { 'x-a': 'b\r\nc: d' } }, { method: 'PO ST' }, { url: `${TASK}\r\n` }, { headers: { 'content-length': '2' } }]) {
      const response = responses['that can be written to']();
      assert.equal(await value.handleRequest(readable(options), response), true);
      assert.deepEqual([response.statusCode, response.text], [400, '{"ok":false,"error":{"message":"Bad Request","code":"BAD_REQUEST"}}'], JSON.stringify(options));
    }
    const short = responses['that can be written to']();
    await value.handleRequest(readable({ headers: { 'content-length': '1000' } }), short);
    assert.equal(short.statusCode, 400);
    await until(() => value.stats().shards.every(({ connections }) => connections === 0), 'no connection is used again');
  }));
});
