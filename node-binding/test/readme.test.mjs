// What is printed is what runs: the programs and commands of the Markdown files, word for word but for the port, with a
// link to this checkout for `npm install fasttunnel`, and without the process that `npx` puts in between.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FRAGMENTS } from './fixtures/fragments.mjs';
import { freePort } from '../../loadtest/attacks/servers/free-port.mjs';
import { installInto } from './support/command-line.mjs';
import { codeBlocks, commandsOf, isShown, proseOf } from './support/markdown.mjs';

const require = createRequire(import.meta.url);
const home = fileURLToPath(new URL('..', import.meta.url));
const root = join(home, '..');
const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => join('docs', name)) : [];
const FILES = ['README.md', ...docs];

const blocks = FILES.flatMap((file) => codeBlocks(join(root, file)));
const programs = blocks.filter(({ kind, language, name }) => kind === 'file' && (language === 'js' || blocks.some((block) => block.kind === 'run' && block.name === name)));
const typed = blocks.filter(({ kind, language }) => kind === 'file' && language === 'ts');
const fragments = blocks.filter(({ kind }) => kind === 'fragment');
const of = (kind, name) => blocks.filter((block) => block.kind === kind && block.name === name);

/** A folder after `npm install fasttunnel`. */
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-readme-'));
installInto(folder);
for (const name of ['@types', '@bluelibs']) symlinkSync(join(home, 'node_modules', name), join(folder, 'node_modules', name));
symlinkSync(join(home, 'node_modules', 'typescript', 'bin', 'tsc'), join(folder, 'node_modules', '.bin', 'tsc'));
after(() => rmSync(folder, { recursive: true }));

/** How a program is started, as it says itself or a block does. */
function startOf({ name, code }) {
  const [block] = of('run', name);
  const lines = block === undefined ? [/^\/\/ (.*)$/m.exec(code.split('\n', 1)[0])?.[1] ?? ''] : block.code.trimEnd().split('\n');
  return lines.filter((line) => !line.startsWith('npm install ')).join('\n');
}
/** The name of a program, once it is compiled. */
const compiled = (name) => name.replace(/\.mts$/, '.mjs');

const withoutCurl = spawnSync('curl', ['--version']).status === 0 ? false : 'no curl here';

describe('examples', () => {
  it('of which every block says what becomes of it', () => {
    for (const { language, kind, where } of blocks) {
      if (['js', 'ts', 'sh', 'diff'].includes(language)) assert.ok(['file', 'beside', 'run', 'call', 'fragment', 'test'].includes(kind), `${where}: no file=, beside=, run=, call=, fragment= or test=`);
    }
    for (const { kind, name, where } of blocks) if (['beside', 'run', 'call'].includes(kind)) assert.ok(programs.some((program) => program.name === name), `${where}: there is no ${name}`);
    for (const file of FILES) assert.doesNotMatch(proseOf(join(root, file)), /^ {4}(?:curl|import|const|await) /m, `${file}: code that is not in a fenced block`);
    assert.ok(programs.length >= 4 && typed.length >= 1 && fragments.length >= 4);
  });

  for (const program of programs) {
    it(`${program.name} runs, and answers its calls as shown`, { timeout: 30_000, skip: withoutCurl }, async () => {
      const port = await freePort();
      const adapted = (text) => text.replaceAll('7070', String(port));
      const runnable = (command) => adapted(command).replaceAll('npx ', '');
      const env = { ...process.env, PATH: `${join(folder, 'node_modules', '.bin')}:${process.env.PATH}` };
      assert.match(startOf(program), new RegExp(`\\bnode ${compiled(program.name)}$|^npx fasttunnel serve \\./${program.name} `), `${program.where}: neither a block nor a first line says how to start it`);
      writeFileSync(join(folder, program.name), adapted(program.code));
      for (const { code } of of('beside', program.name)) writeFileSync(join(folder, /^\/\/ (\S+)$/m.exec(code)[1]), adapted(code));
      const commands = runnable(startOf(program)).split('\n');
      // All but the last come to their ends.
      for (const command of commands.slice(0, -1)) execFileSync('bash', ['-c', command], { cwd: folder, env, encoding: 'utf8' });
      const child = spawn('bash', ['-c', `exec env ${commands.at(-1)}`], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
      const ended = once(child, 'exit');
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
      try {
        await Promise.race([once(child.stdout, 'data'), ended.then(() => { throw new Error(`it ended: ${stderr}`); })]);
        const calls = of('call', program.name);
        assert.ok(calls.length > 0, `${program.where}: nothing calls it`);
        for (const { command, shown } of calls.flatMap(({ code }) => commandsOf(adapted(code)))) {
          const { stdout } = await promisify(execFile)('bash', ['-o', 'pipefail', '-c', runnable(command)], { cwd: folder, env, timeout: 10_000 });
          assert.ok(isShown(stdout, shown), `${command}\nshown: ${shown.join('\n')}\nanswer: ${stdout}`);
        }
        assert.equal(child.exitCode, null, 'it runs on');
        child.kill('SIGTERM');
        const [code, signal] = await ended;
        assert.ok(code === 0 || signal === 'SIGTERM', `${code} ${signal}`);
        assert.equal(stderr.replace(/^\(node:\d+\) \[FASTTUNNEL_EPOLL\][^]*?--trace-warnings[^\n]*\n/m, ''), '');
      } finally {
        child.kill('SIGKILL');
        await ended;
      }
    });
  }

  for (const { name, code } of typed) {
    it(`${name} compiles`, () => {
      writeFileSync(join(folder, name), code);
      for (const compiler of ['typescript', 'typescript-5.0']) {
        const { status, stdout } = spawnSync(process.execPath, [join(require.resolve(`${compiler}/package.json`), '../bin/tsc'), '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022', name], { cwd: folder, encoding: 'utf8' });
        assert.equal(`${status} ${stdout}`, '0 ', compiler);
      }
    });
  }

  for (const { name, code, where } of fragments) {
    it(`the fragment ${name} does in a program what it says`, { timeout: 30_000 }, async () => {
      assert.ok(name in FRAGMENTS, `${where}: test/fixtures/fragments.mjs has no program around ${name}`);
      const { program, prints } = FRAGMENTS[name];
      const file = join(folder, `fragment-${name}.mjs`);
      writeFileSync(file, program(code).replaceAll('7070', String(await freePort())));
      const printed = execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'pipe'] });
      if (typeof prints === 'string') assert.equal(printed, prints);
      else assert.match(printed, prints);
    });
  }
});
