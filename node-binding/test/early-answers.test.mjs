// Answers given while the client is still sending: whoever goes on sending at an honest pace finds them, through a proxy too.
import assert from 'node:assert/strict';
import http from 'node:http';
import { it } from 'node:test';
import axios from 'axios';
import got from 'got';
import { Pool } from 'undici';
import { certificate } from './support/certificates.mjs';
import { withNginx, withoutNginx } from './support/nginx.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, onBothDriversAtOnce, sleep, until, withTunnel } from './support/tunnels.mjs';

const MEBIBYTE = 1024 * 1024;
const TOKEN = 't0ken';
const BODY = Buffer.alloc(64 * MEBIBYTE, 'x');
const PATH = '/__runner/task/add';

const tasks = {
  add: ({ a, b }) => a + b,
  // Takes a stream, and does not look at it.
  ignore: () => 'ignored',
};
const guarded = (driver, body, limits = {}) => withTunnel({ driver, shards: 1, auth: { token: TOKEN }, tasks, limits }, body);

/** Status of a POST of this body by node:http, each on a connection of its own. */
const post = (where, body, headers = {}) => new Promise((resolve, reject) => {
  const request = http.request({ ...where, method: 'POST', path: PATH, agent: false, headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers } });
  request.once('response', (response) => response.resume().once('end', () => resolve(response.statusCode)).once('error', reject)).once('error', reject);
  request.end(body);
});

onBothDrivers('early answers behind nginx', (driver) => {
  const behind = (options, body) => guarded(driver, (one) => guarded(driver, (two) => withNginx([one, two], options, (nginx) => body(nginx, one))));
  const KEEPALIVE = { upstream: 'keepalive 16;', location: 'proxy_http_version 1.1; proxy_set_header Connection "";' };

  for (const [name, options] of Object.entries({ 'without keepalive': {}, 'with keepalive': KEEPALIVE })) {
    it(`${name}: each is passed on, whatever the size`, () => behind(options, async (nginx) => {
      for (const mebibytes of [1, 3, 12, 64]) {
        for (let round = 0; round < (mebibytes === 12 ? 20 : 2); round++) {
          const body = BODY.subarray(0, mebibytes * MEBIBYTE);
          assert.equal(await post(nginx, body), 401, `${mebibytes} MiB without a token`);
          const status = await post(nginx, body, { 'x-runner-token': TOKEN });
          assert.equal(status, mebibytes === 1 ? 400 : 413, `${mebibytes} MiB with one`);
        }
      }
      assert.doesNotMatch(nginx.errors(), /\[(error|crit|alert|emerg)\]/);
    }));

    it(`${name}: bodies without a token do not take the tunnels out of service`, () => behind(options, async (nginx) => {
      const refused = await Promise.all(Array.from({ length: 4 }, () => post(nginx, BODY.subarray(0, 50_000_000))));
      assert.deepEqual(refused, [401, 401, 401, 401]);
      for (let round = 0; round < 20; round++) assert.equal(await post(nginx, Buffer.from('{"a":1,"b":2}'), { 'x-runner-token': TOKEN }), 200);
    }));
  }
}, { skip: withoutNginx });

onBothDriversAtOnce('early answers to clients that read when they have sent everything', (driver) => {
  /** Sends 500,000 bytes, so many at a time, reads only then; the connection serves another call afterwards. */
  async function sendAll(tunnel, [bytes, everyMs], id, type, lines = '') {
    const socket = await RawSocket.connect(tunnel);
    socket.socket.pause();
    await socket.write(`POST /__runner/task/${id} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${lines}Content-Length: 500000\r\n\r\n`);
    for (let sent = 0; sent < 500_000; sent += bytes) {
      await socket.write(BODY.subarray(0, Math.min(bytes, 500_000 - sent)));
      await sleep(everyMs);
    }
    socket.socket.resume();
    const { status } = await socket.answer();
    await socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nx-runner-token: ${TOKEN}\r\nContent-Length: 13\r\n\r\n{"a":1,"b":2}`);
    assert.equal((await socket.answer()).body, '{"ok":true,"result":3}');
    socket.destroy();
    return status;
  }

  for (const rate of [[15_000, 100], [100_000, 900], [4000, 10], [500_000, 0]]) {
    it(`${rate[0]} bytes every ${rate[1]} ms`, () => guarded(driver, async (tunnel) => {
      const token = `x-runner-token: ${TOKEN}\r\n`;
      assert.deepEqual(await Promise.all([
        sendAll(tunnel, rate, 'add', 'application/json'),
        sendAll(tunnel, rate, 'unknown', 'application/json', token),
        sendAll(tunnel, rate, 'ignore', 'application/octet-stream', token),
      ]), [401, 403, 200]);
    }));
  }
});

onBothDrivers('early answers of a port', (driver) => {
  const expectEach = async ({ host, port }, expected) => {
    for (const mebibytes of [1, 9, 30]) {
      const statuses = [];
      for (let round = 0; round < 20; round++) statuses.push(await post({ host, port }, BODY.subarray(0, mebibytes * MEBIBYTE)).catch((error) => error.code));
      assert.deepEqual(statuses, Array.from({ length: 20 }, () => expected), `${mebibytes} MiB`);
    }
  };

  it('that has too many connections: 503, 20 of 20', () => guarded(driver, async (tunnel) => {
    const only = await RawSocket.connect(tunnel);
    await until(() => tunnel.stats().shards[0].connections === 1, 'it is connected');
    await expectEach(tunnel, 503);
    only.destroy();
  }, { maxConnections: 1 }));

  it('that speaks HTTPS, to plain HTTP: 400, 20 of 20', () => withTunnel({ driver, shards: 1, tls: certificate().pem, tasks }, (tunnel) => expectEach(tunnel, 400)));
});

onBothDrivers('early answers to HTTP clients', (driver) => {
  const CLIENTS = {
    fetch: async (url, body, headers) => {
      const response = await fetch(url, { method: 'POST', body, headers });
      await response.text();
      return response.status;
    },
    undici: async (url, body, headers) => {
      const pool = new Pool(new URL(url).origin, { connections: 2 });
      const { statusCode, body: answer } = await pool.request({ path: PATH, method: 'POST', body, headers });
      await answer.text();
      await pool.destroy();
      return statusCode;
    },
    axios: async (url, body, headers) => (await axios.post(url, body, { headers, validateStatus: () => true, maxBodyLength: Infinity })).status,
    got: async (url, body, headers) => (await got.post(url, { body, headers, throwHttpErrors: false, retry: { limit: 0 } })).statusCode,
  };

  for (const [name, call] of Object.entries(CLIENTS)) {
    it(`${name}: 20 of 20`, () => guarded(driver, async (tunnel) => {
      const statuses = [];
      for (let round = 0; round < 20; round++) {
        const headers = { 'content-type': 'application/json', ...(round % 2 && { 'x-runner-token': TOKEN }) };
        const bytes = Math.round((9 + (21 * round) / 19) * MEBIBYTE);
        statuses.push(await call(`${tunnel.url}/task/add`, BODY.subarray(0, bytes), headers).catch((error) => String(error.cause ?? error)));
      }
      assert.deepEqual(statuses, Array.from({ length: 20 }, (_, round) => (round % 2 ? 413 : 401)));
      assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 }, { headers: { 'x-runner-token': TOKEN } })).text, '{"ok":true,"result":3}');
    }));
  }
});
