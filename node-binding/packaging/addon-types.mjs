// What the addon exports, as TypeScript: written from the Rust sources by napi-derive, without building the addon.
// addon-types.mjs [--check]: with it, nothing is written, and a file that is stale is a failure.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateTypeDef } from '@napi-rs/cli';
import { BINDING, REPOSITORY, WORK } from './sources.mjs';

const FILE = join(BINDING, 'test', 'types', 'addon.generated.d.ts');
const FOLDER = join(WORK, 'types');
const HEADER = '// Written by `make addon-types`, from node-binding/src. `make lint` compares.\n';

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
execFileSync('cargo', ['check', '--locked', '--quiet', '--package', 'fasttunnel-node', '--features', 'type-def'], {
  cwd: REPOSITORY,
  stdio: 'inherit',
  // The second makes cargo expand the macros again when nothing has changed.
  env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: FOLDER, NAPI_FORCE_BUILD_FASTTUNNEL_NODE: String(Date.now()) },
});
const { dts } = await generateTypeDef({ typeDefDir: FOLDER, dtsHeader: HEADER, cwd: BINDING });
const stale = read() !== dts;
if (!process.argv.includes('--check')) writeFileSync(FILE, dts);
else if (stale) {
  console.error('node-binding/test/types/addon.generated.d.ts is stale: run `make addon-types`');
  process.exitCode = 1;
}

function read() {
  try {
    return readFileSync(FILE, 'utf8');
  } catch {
    return undefined;
  }
}
