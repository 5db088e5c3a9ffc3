// The attacks on forward proxies: ours beside tinyproxy, each in front of nginx, as tables in Markdown.
//   node proxies.mjs [--proxies ours,tinyproxy] [--only id,id,forms] [--hold 40] [--scale 1] [--out FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openBytes, openNginx } from '../proxies/origins.mjs';
import { start } from '../proxies/servers.mjs';
import { proofOf } from '../proxies/tunnels.mjs';
import { attack, FLOOD_HEADINGS, floodRow, machineOf, table } from './attack.mjs';
import { deaf, drip, pour, storm } from './floods.mjs';
import { PROXY_FORMS, send, throughProxy } from './forms.mjs';

const { values: options } = parseArgs({
  options: {
    proxies: { type: 'string', default: 'ours,tinyproxy' },
    only: { type: 'string' },
    hold: { type: 'string', default: '40' },
    scale: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const machine = machineOf(options.hold);
const chosen = options.only?.split(',');
const isChosen = (id) => !chosen || chosen.includes(id);

/** Attacks by whoever has the credentials of `proxy`, and by whoever has not. */
function floodsOf(proxy, { nginx, bytes }) {
  const proven = (line, ...lines) => [`${line} HTTP/1.1`, 'Host: 127.0.0.1', `Proxy-Authorization: Basic ${proofOf(proxy)}`, ...lines, '', ''].join('\r\n');
  const url = `http://127.0.0.1:${nginx}/`;
  const guess = `GET ${url} HTTP/1.1\r\nHost: 127.0.0.1\r\nProxy-Authorization: Basic ${Buffer.from('user:guess').toString('base64')}\r\n\r\n`;
  const slowHead = `GET ${url} HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
  return [
    { id: 'idle', title: 'connect, say nothing', size: 1000, run: (port, how) => drip(port, how, '') },
    { id: 'slow-head', title: 'a header line a second', size: 1000, run: (port, how) => drip(port, how, slowHead, (turn) => `X-${turn}: y\r\n`) },
    { id: 'slow-body', title: 'a byte a second of a body, by who may ask', size: 1000, run: (port, how) => drip(port, how, proven(`POST ${url}`, 'Content-Length: 100000'), () => 'x') },
    { id: 'guesses', title: 'guessed credentials, as fast as can be', size: 20, hold: 10, run: (port, how) => pour(port, how, '', guess.repeat(20)) },
    { id: 'deaf', title: 'a tunnel from which nobody reads what comes without end', size: 50, run: (port, how) => deaf(port, how, `${proven(`CONNECT 127.0.0.1:${bytes}`)}send`) },
    { id: 'resets', title: 'resets behind a request, 500/s', rate: 500, hold: 5, run: (port, how) => storm(port, how, proven(`GET ${url}`)) },
  ];
}

const [nginx, source] = await Promise.all([openNginx(), openBytes()]);
const origins = { nginx: nginx.port, bytes: source.port };
const tables = [];
try {
  const names = [];
  for (const name of options.proxies.split(',')) {
    try {
      const proxy = await start(name);
      names.push([name, proxy.version]);
      await proxy.stop();
    } catch (error) {
      console.error(`${name} is skipped: ${error.message}`);
    }
  }
  const rows = [FLOOD_HEADINGS];
  for (const { id } of floodsOf({}, origins).filter(({ id }) => isChosen(id))) {
    for (const [name, version] of names) {
      console.error(`${id} against ${version}`);
      const proxy = await start(name);
      const flood = floodsOf(proxy, origins).find((one) => one.id === id);
      const bytes = `GET http://127.0.0.1:${origins.nginx}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nProxy-Authorization: Basic ${proofOf(proxy)}\r\n\r\n`;
      const result = await attack(proxy, flood, { scale: Number(options.scale), hold: Number(options.hold) }, { bytes }).catch((error) => ({ error: error.message }));
      rows.push(floodRow(flood, version, result));
      await proxy.stop();
    }
  }
  if (rows.length > 1) tables.push(table(rows));
  if (isChosen('forms')) {
    const cells = new Map(PROXY_FORMS.map((form) => [form, []]));
    const good = names.map(() => 0);
    for (const [at, [name]] of names.entries()) {
      const proxy = await start(name);
      for (const form of PROXY_FORMS) {
        const { answers, closed, strict } = await send(proxy.port, form, { through: (text) => throughProxy(text, proofOf(proxy), origins.nginx) });
        if (strict) good[at] += 1;
        const mark = strict ? '' : '**';
        cells.get(form).push(`${mark}${answers.join(' ') || 'nothing'}${closed ? ', closed' : ', open'}${mark}`);
      }
      await proxy.stop();
    }
    tables.push(table([['form, and a good request behind it', ...names.map(([, version]) => version)], ...[...cells].map(([form, columns]) => [form.id, ...columns]), ['as strict as it can be', ...good.map((count) => `${count} of ${PROXY_FORMS.length}`)]]));
  }
} finally {
  await nginx.close();
  await source.close();
}
console.log(tables.join('\n\n'));
if (options.out) writeFileSync(options.out, `${[machine, ...tables].join('\n\n')}\n`);
