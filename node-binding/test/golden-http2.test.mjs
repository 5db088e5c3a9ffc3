// The golden corpus over HTTP/2: one contract, two wires. Every case whose request HTTP/2 can say gets the answer that
// nodeExposure was seen to give over HTTP/1.1, but for what is about the connection. Skipped where the recordings are not there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OF_THE_CONNECTION, request, translated } from './support/http2.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const GOLDEN = process.env.FASTTUNNEL_GOLDEN ?? path('../../../shared/golden');
const DEPARTURES = JSON.parse(readFileSync(path('golden-departures.json'), 'utf8'));
const skip = existsSync(`${GOLDEN}/replay.mjs`) ? false : `no golden corpus at ${GOLDEN}`;

/** What is about bytes on a connection, or about a server of somebody else's. */
const OTHER_AREAS = ['parse', 'http', 'abort', 'attach', 'limits'];
const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g;
const normal = (text) => text.replace(UUID, '<uuid>');

const comparable = (status, headers, body) => ({
  status,
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':') && !OF_THE_CONNECTION.includes(name) && !(status === 405 && name === 'allow')).map(([name, value]) => [name, normal(String(value))])),
  body,
});

it('golden corpus over HTTP/2', { skip }, async () => {
  process.env.FASTTUNNEL_HTTP2 = '1';
  const [{ start }, fixtures, { configs }] = await Promise.all([import('./fixtures/golden-launcher.mjs'), import(`${GOLDEN}/fixtures.mjs`), import(`${GOLDEN}/configs.mjs`)]);
  const R = createRequire(path('../package.json'))('@bluelibs/runner/node');
  const cases = JSON.parse(readFileSync(`${GOLDEN}/open.json`, 'utf8')).cases.filter(({ area, name, response }) => !OTHER_AREAS.includes(area) && DEPARTURES[name] === undefined && response !== null);
  const groups = new Map();
  for (const one of cases) {
    const { text, base64 } = one.request;
    const said = translated(text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text));
    if (said !== undefined && one.response.body !== undefined && !configs[one.app.config]?.attach) groups.set(one.app.config, [...(groups.get(one.app.config) ?? []), { ...one, said }]);
  }
  const different = [];
  let played = 0;
  for (const [name, group] of groups) {
    const server = await start({ R, name, config: configs[name] ?? group[0].app, ...fixtures, probe: [], onLog: () => {}, httpExtra: { listen: { port: 0 } } });
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    session.on('error', () => {});
    for (const { name: title, said: { fields, body }, response } of group) {
      played += 1;
      const got = await request(session, fields, body.length === 0 ? undefined : body).then(({ status, headers, text }) => comparable(status, headers, normal(text)), (error) => String(error));
      const want = comparable(response.status, response.headers, normal(response.body));
      try {
        assert.deepEqual(got, want);
      } catch (error) {
        different.push(`${title}: ${error.message}`);
      }
    }
    session.destroy();
    await server.close();
  }
  assert.deepEqual(different, [], different.join('\n'));
  assert.ok(played > 200, `${played} cases`);
});
