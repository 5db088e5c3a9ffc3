// Tries packages that `make pack` has made, on the Node of their platform: try.mjs name,... Each is unpacked into an empty
// app, in which the suite of test/runtimes runs: calls, refusals, streams, forms, aborts, an attached server, workers.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFor } from './foreign-nodes.mjs';
import { BINDING, WORK } from './sources.mjs';
import { MANIFEST, targetsNamed } from './targets.mjs';

function appWith(name) {
  const app = join(WORK, 'apps', name);
  rmSync(app, { recursive: true, force: true });
  for (const one of [MANIFEST.name, `${MANIFEST.name}-${name}`]) {
    const tarball = join(BINDING, 'packages', `${one}-${MANIFEST.version}.tgz`);
    if (!existsSync(tarball)) throw new Error(`${tarball} is missing: run \`make pack TARGETS=${name}\``);
    const place = join(app, 'node_modules', one);
    mkdirSync(place, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', place, '--strip-components=1']);
  }
  mkdirSync(join(app, 'node_modules', '@bluelibs'));
  symlinkSync(join(BINDING, 'node_modules', '@bluelibs', 'runner'), join(app, 'node_modules', '@bluelibs', 'runner'));
  copyFileSync(join(BINDING, 'test', 'runtimes', 'suite.mjs'), join(app, 'suite.mjs'));
  return app;
}

try {
  for (const target of targetsNamed(process.argv[2] ?? 'host')) {
    const app = appWith(target.name);
    const [command, ...args] = nodeFor(target);
    const on = (...more) => spawnSync(command, [...args, ...more], { cwd: app, encoding: 'utf8', timeout: 300_000, env: { ...process.env, FASTTUNNEL_NATIVE_PATH: '' } });
    const version = on('-p', 'process.version + " on " + process.arch').stdout.trim();
    const { status, signal, stdout, stderr } = on('suite.mjs');
    if (status !== 0) throw new Error(`${target.name}, Node ${version}: ended with ${status ?? signal}\n${stderr}`);
    const { passed, driver, ring } = JSON.parse(stdout);
    console.log(`${target.name}, Node ${version}, ${driver}, woken by ${ring}: ${passed.join(', ')}`);
  }
} catch (error) {
  console.error(`try: ${error.message}`);
  process.exitCode = 1;
}
