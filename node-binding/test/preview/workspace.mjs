// A workspace: what Vite serves in it, under TLS, as behind the edge where its host name leads.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('page/', import.meta.url));
const VITE = new URL('../runtimes/node_modules/vite/dist/node/index.js', import.meta.url);

/** Vite, or an error that says why there is none. */
export function findVite() {
  if (!existsSync(VITE)) throw new Error('Vite is missing: make installs it into test/runtimes');
}

/** Starts one that has this title, below `domain`. */
export async function openWorkspace(title, { cert, key }, domain) {
  findVite();
  const { createServer } = await import(VITE.href);
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-workspace-'));
  cpSync(PAGE, folder, { recursive: true });
  const asked = [];
  let shown;
  const write = (text) => {
    shown = text;
    writeFileSync(join(folder, 'title.js'), readFileSync(join(PAGE, 'title.js'), 'utf8').replace('A page', text));
  };
  write(title);
  const server = await createServer({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    cacheDir: join(folder, 'cache'),
    server: { host: '127.0.0.1', port: 0, https: { cert, key }, allowedHosts: [`.${domain}`] },
    plugins: [{
      name: 'what is asked',
      configureServer: ({ middlewares, httpServer }) => {
        middlewares.use((request, _, next) => {
          asked.push({ url: request.url, headers: request.headers });
          next();
        });
        httpServer.on('upgrade', ({ url, headers }) => asked.push({ url, headers }));
      },
    }],
  });
  await server.listen();
  const { port } = server.httpServer.address();
  return {
    address: `127.0.0.1:${port}`,
    asked,
    /** The title, as it is now. */
    get title() { return shown; },
    /** Edits the file that the title is in. Vite may miss one that follows another at once. */
    edit: write,
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
