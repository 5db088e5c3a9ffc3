// The same attacks against node:http, nginx and the tunnel, one after the other, as tables in Markdown.
//   node run.mjs [--servers a,b] [--only id,id] [--hold 40] [--scale 1] [--json FILE] [--out FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { attack, FLOOD_HEADINGS, floodRow, machineOf, table } from './attack.mjs';
import { FLOODS } from './floods.mjs';
import { FORMS, send } from './forms.mjs';
import { NAMES, start } from './servers.mjs';

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
const machine = machineOf(options.hold);
const chosen = options.only?.split(',');
const floods = FLOODS.filter(({ id }) => !chosen || chosen.includes(id));
const withForms = !chosen || chosen.includes('forms');

/** Starts a server for one attack, measures it with a normal client beside it. */
async function measure(name, flood) {
  if (flood.echo && name === 'nginx') throw new Error('nothing behind it that answers so much');
  const tls = flood.tls === true;
  const server = await start(name, { tls });
  try {
    return await attack(server, flood, { scale: Number(options.scale), hold: Number(options.hold) }, { tls });
  } finally {
    await server.stop();
  }
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
  const rows = [FLOOD_HEADINGS];
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
