// examples/runner-app: the same client gets the same from both exposures.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = fileURLToPath(new URL('../../examples/runner-app/', import.meta.url));
const skip = existsSync(`${folder}node_modules/fasttunnel`) ? false : 'make links its packages';

it('runner-app', { skip }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${folder}demo.mjs`], { timeout: 30_000 });
  assert.match(stdout, /sum: 3/);
  assert.match(stdout, /notified: hello from node\nnotified: hello from fasttunnel/);
  assert.match(stdout, /nodeExposure says the same\.\n$/);
});
