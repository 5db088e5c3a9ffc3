// The package on other runtimes than the one that runs these tests: what they can do, and what they say when they may not.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ADDON } from './support/elves.mjs';
import { COMMANDS, run, RUNTIMES } from './support/runtimes.mjs';

/** Node's event loop has a way to be woken that the others do not have. */
const ringOf = (name) => (name.startsWith('Node') ? 'loop' : 'threadsafe');

// Two at a time: they mostly wait.
describe('the package', { concurrency: 2 }, () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    it(`on ${name} answers calls, streams and forms, hears of aborts, attaches to a server, has the utilities, ends workers and closes`, { timeout: 60_000 }, async () => {
      const { status, signal, stdout, stderr } = await run([...command, join(RUNTIMES, 'suite.mjs')]);
      assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
      const { passed, driver, ring } = JSON.parse(stdout);
      assert.deepEqual(passed, ['calls', 'refusals', 'streams', 'forms', 'aborts', 'attached', 'utilities', 'workers']);
      assert.match(driver, /^(io_uring|epoll)$/);
      assert.equal(ring, ringOf(name));
    });
  }
});

describe('without leave to load an addon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-runtimes-'));
  after(() => rmSync(folder, { recursive: true }));
  // As an app has it: Deno wants the package named.
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(fileURLToPath(new URL('..', import.meta.url)), join(folder, 'node_modules', 'fasttunnel'));
  writeFileSync(join(folder, 'package.json'), '{"dependencies":{"fasttunnel":"*"}}');
  writeFileSync(join(folder, 'app.mjs'), `
    import { fastTunnel } from 'fasttunnel';
    try { const tunnel = await fastTunnel({ auth: { allowAnonymous: true } }); await tunnel.close(); console.log('open and closed'); }
    catch ({ name, message }) { console.log(name + ': ' + message); }`);

  const say = async (command) => {
    const { status, stdout, stderr } = await run([...command, 'app.mjs'], { cwd: folder });
    assert.equal(status, 0, stderr);
    return stdout.trim();
  };

  it('Deno says that it wants --allow-ffi', async () => {
    const allowing = (...options) => [COMMANDS.Deno[0], 'run', '--no-prompt', '--allow-read', '--allow-env', ...options];
    assert.match(await say(allowing()), /^NativeLoadError: .*could not be loaded: Requires ffi access to .*Platform: linux x64 glibc, Deno 2.*Run Deno with --allow-ffi/);
    assert.equal(await say(allowing('--allow-ffi')), 'open and closed');
  });

  it('Node with --permission says that it wants --allow-addons', async () => {
    for (const name of ['Node 22', 'Node 24', 'Node 25']) {
      const allowing = (...options) => [...COMMANDS[name], '--permission', '--no-warnings', '--allow-fs-read=*', ...options];
      assert.match(await say(allowing()), /^NativeLoadError: .*loading addons is disabled\..*Node runs with --permission: give it --allow-addons as well/, name);
      assert.equal(await say(allowing('--allow-addons')), 'open and closed', name);
    }
  });

  it('Bun says that --no-addons forbids it', async () => {
    assert.match(await say([...COMMANDS.Bun, '--no-addons']), new RegExp(`^NativeLoadError: .*Platform: linux x64 glibc, Bun 1.*Tried: ${ADDON}\\. Start without --no-addons`));
  });
});
