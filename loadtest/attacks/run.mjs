// The same attacks against node:http, nginx and the tunnel, one after the other, as tables in Markdown.
//   node run.mjs [--servers a,b] [--only id,id] [--hold 40] [--scale 1] [--json FILE] [--out FILE]
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { startCanary } from './canary.mjs';
import { FLOODS } from './floods.mjs';
import { FORMS, send } from './forms.mjs';
import { NAMES, start } from './servers.mjs';
import { sleep } from './wire.mjs';

const { values: options } = parseArgs({
  options: {
    servers: { type: 'string', default: 'node:http,nginx,fasttunnel' },
    only: { type: 'string' },
    hold: { type: 'string', default: '40' },
    scale: { type: 'string', default: '1' },
    json: { type: 'string' },
    out: { type: 'string' },
  },
});
const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, Linux ${release()}, ${new Date().toUTCString()}, load average ${loadavg()[0].toFixed(2)} before; slow clients were watched for ${options.hold} s.`;
const chosen = options.only?.split(',');
const floods = FLOODS.filter(({ id }) => !chosen || chosen.includes(id));
const withForms = !chosen || chosen.includes('forms');

/** Starts a server for one attack, measures it with a normal client beside it. */
async function measure(name, flood) {
  if (flood.echo && name === 'nginx') throw new Error('nothing behind it that answers so much');
  const tls = flood.tls === true;
  const server = await start(name, { tls });
  try {
    // Warm, so that memory of the first requests does not count.
    const warm = startCanary(server.port, { tls });
    await sleep(500);
    await warm.stop();
    const before = server.usage();
    const canary = startCanary(server.port, { tls });
    let peak = before;
    const watch = setInterval(() => { const now = server.usage(); if (now.rss > peak.rss) peak = now; }, 250);
    const how = { n: Math.ceil((flood.size ?? 0) * Number(options.scale)), rate: flood.rate, hold: flood.hold ?? Number(options.hold) };
    const result = await flood.run(server.port, how);
    const after = server.usage();
    clearInterval(watch);
    const client = await canary.stop();
    await sleep(2000);
    const left = server.usage();
    return { ...result, hold: how.hold, client, cpu: after.cpu - before.cpu, rss: peak.rss - before.rss, sockets: left.sockets - before.sockets, alive: server.alive, stderr: server.stderr };
  } finally {
    await server.stop();
  }
}

const round = (value, digits = 0) => value.toFixed(digits);
const table = (rows) => rows.map((row, at) => `| ${row.join(' | ')} |${at === 0 ? `\n|${row.map(() => '---').join('|')}|` : ''}`).join('\n');

function floodRow(flood, name, result) {
  if (result.error) return [flood.title, name, `not done: ${result.error}`, '', '', '', ''];
  const { connections, cut, cutAt, told, client, cpu, rss, sockets, alive, hold, refused, bytes } = result;
  const answers = Object.entries(told).map(([status, count]) => `${count} × ${status}`).join(', ');
  const fate = connections === 0 ? '' : bytes ? `${connections} connections, ${cut} cut, ${round(bytes / 2 ** 30, 1)} GiB taken` : flood.rate ? `${connections} done${refused ? `, ${refused} refused` : ''}` : cut === 0 ? `none of ${connections} cut in ${hold} s` : `${cut} of ${connections} cut, half by ${round(cutAt.p50, 1)} s, last ${round(cutAt.max, 1)} s`;
  return [
    flood.title,
    name,
    [fate, answers].filter(Boolean).join('; '),
    `${round(client.p99)} (worst ${round(client.max)})${client.failed ? `, ${client.failed} of ${client.n} failed` : ''}`,
    round(cpu, 1),
    round(rss),
    alive ? String(Math.max(0, sockets)) : 'DIED',
  ];
}

const servers = [];
for (const name of options.servers.split(',')) {
  if (!NAMES.includes(name)) throw new Error(`no server ${name}; there are ${NAMES.join(', ')}`);
  try {
    const server = await start(name);
    servers.push({ name, title: name === 'node:http' ? `node:http ${server.version}` : name === 'nginx' ? server.version : `fasttunnel (${server.version})` });
    await server.stop();
  } catch (error) {
    console.error(`${name} is skipped: ${error.message}`);
  }
}

const results = { floods: {}, forms: {} };
const tables = [];
if (floods.length > 0) {
  const rows = [['attack', 'server', 'what became of it', 'p99 of a normal client, ms', 'server CPU, s', 'memory, MiB', 'sockets left after 2 s']];
  for (const flood of floods) {
    for (const { name, title } of servers) {
      console.error(`${flood.id} against ${title}`);
      const result = await measure(name, flood).catch((error) => ({ error: error.message }));
      (results.floods[flood.id] ??= {})[name] = result;
      rows.push(floodRow(flood, title, result));
    }
  }
  tables.push(table(rows));
}
if (withForms) {
  const rows = [['form, and a good call behind it', ...servers.map(({ title }) => title)]];
  const cells = new Map(FORMS.map((form) => [form, []]));
  const good = servers.map(() => 0);
  for (const [at, { name }] of servers.entries()) {
    const server = await start(name);
    for (const form of FORMS) {
      const result = await send(server.port, form);
      (results.forms[form.id] ??= {})[name] = result;
      if (result.strict) good[at] += 1;
      const answers = result.answers.join(' ') || 'nothing';
      cells.get(form).push(`${result.strict ? '' : '**'}${answers}${result.closed ? ', closed' : ', open'}${result.strict ? '' : '**'}`);
    }
    await server.stop();
  }
  for (const [form, columns] of cells) rows.push([form.id, ...columns]);
  rows.push([`as strict as it can be`, ...good.map((count) => `${count} of ${FORMS.length}`)]);
  tables.push(table(rows));
}
console.log(tables.join('\n\n'));
if (options.out) writeFileSync(options.out, `${[machine, ...tables].join('\n\n')}\n`);
if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 1));
