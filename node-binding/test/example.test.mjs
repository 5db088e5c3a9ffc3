// The examples do what they show.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folderOf = (name) => fileURLToPath(new URL(`../../examples/${name}/`, import.meta.url));
const unless = (folder) => (existsSync(`${folder}node_modules/fasttunnel`) ? false : 'make links its packages');
const folder = folderOf('runner-app');
const skip = unless(folder);

it('runner-app', { skip }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${folder}demo.mjs`], { timeout: 30_000 });
  assert.match(stdout, /sum: 3/);
  assert.match(stdout, /notified: hello from node\nnotified: hello from fasttunnel/);
  assert.match(stdout, /nodeExposure says the same\.\n$/);
});

const files = folderOf('files');

it('files', { skip: unless(files), timeout: 60_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${files}demo.mjs`, '--once'], { timeout: 50_000, env: { ...process.env, PORT: '0' } });
  assert.match(stdout, /"name":"Grüße\.bin","type":"application\/x-demo","size":67108864,/);
  assert.match(stdout, /< WHAT IS SENT FIRST \n {2}< COMES BACK BEFORE \n {2}< THE LAST IS SENT\n/);
});

it('the page of files calls its tunnel', { skip: unless(files), timeout: 30_000 }, async () => {
  const server = `process.env.PORT = '0'; const { tunnel, pageUrl, close } = await import(${JSON.stringify(`${files}server.mjs`)}); const html = await (await fetch(pageUrl)).text(); console.log(html.includes(tunnel.url), html.includes('%TUNNEL%')); await close();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', server], { timeout: 20_000 });
  assert.equal(stdout.trim(), 'true false');
});

const previewed = folderOf('preview-proxy');

it('preview-proxy', { skip: unless(previewed), timeout: 30_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${previewed}demo.mjs`], { timeout: 20_000 });
  for (const [id, name] of [[1, 'red'], [2, 'blue']]) {
    assert.ok(stdout.includes(`view ${id}: the proxy asks who it is\nview ${id}: http://localhost:5173/ 200 from workspace ${name}, asked as cmux-${name}-base-5173.cmux.app\n`), stdout);
  }
  assert.match(stdout, /ctx-2: 1 requests, 58 bytes\n1 context is left when a view is destroyed\n$/);
});
