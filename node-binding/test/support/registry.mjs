// A registry of npm on this machine, with our packages alone: what npm, pnpm and yarn install from as they do from npm's own.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

/** What a tarball says of itself. */
export const manifestOf = (tarball) => JSON.parse(execFileSync('tar', ['-xOzf', tarball, 'package/package.json'], { encoding: 'utf8' }));

/** The tarballs that `make pack` has made: { manifest, file, bytes }. */
export function packagesIn(folder) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.tgz')) : [];
  return names.map((name) => ({ file: join(folder, name), manifest: manifestOf(join(folder, name)), bytes: readFileSync(join(folder, name)) }));
}

/** The manifests of all platforms' packages, as they were laid out, packed or not. */
export function platformsIn(stage) {
  return readdirSync(stage).map((name) => JSON.parse(readFileSync(join(stage, name, 'package.json'), 'utf8')));
}

/**
 * Serves packages, and of platforms that were not packed what was laid out, without an addon: { url, asked, close }. `asked`
 * has the names of the tarballs that were asked for.
 */
export async function serveRegistry(packages, stage) {
  const laidOut = readdirSync(stage).map((name) => [`fasttunnel-${name}`, execFileSync('tar', ['-czf', '-', '-C', stage, `--transform=s,^${name},package,`, name], { maxBuffer: 2 ** 27 })]);
  const tarballs = new Map([...laidOut, ...packages.map(({ manifest, bytes }) => [manifest.name, bytes])]);
  const manifests = new Map([...platformsIn(stage), ...packages.map(({ manifest }) => manifest)].map((manifest) => [manifest.name, manifest]));
  const asked = [];
  const server = createServer((request, response) => {
    const [, name, tarball] = /^\/([^/?]+)(\/-\/[^?]+)?/.exec(decodeURIComponent(request.url)) ?? [];
    if (tarball !== undefined) asked.push(name);
    const body = tarball === undefined ? packument(name) : tarballs.get(name);
    if (request.method !== 'GET' || body === undefined) response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Not found"}');
    else response.writeHead(200, { 'content-type': tarball === undefined ? 'application/json' : 'application/octet-stream' }).end(body);
  });

  function packument(name) {
    const manifest = manifests.get(name);
    if (manifest === undefined) return undefined;
    const bytes = tarballs.get(name);
    const dist = {
      tarball: `${url}/${name}/-/${name}-${manifest.version}.tgz`,
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      shasum: createHash('sha1').update(bytes).digest('hex'),
    };
    return JSON.stringify({ name, 'dist-tags': { latest: manifest.version }, versions: { [manifest.version]: { ...manifest, dist } }, time: { [manifest.version]: '2026-01-01T00:00:00.000Z' } });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, asked, close: () => { server.closeAllConnections(); server.close(); } };
}
