// Chromium through the proxy, as an Electron app sets it up: pages of workspaces that Vite serves, with hot reload. `make preview`
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { configurePreviewProxyForView, createLocalCA, getProxyCredentialsForWebContents, startPreviewProxy, stopPreviewProxy } from '../dist/esm/electron/index.mjs';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { Chromium } from './preview/devtools.mjs';
import { App, WebContents } from './preview/electron.mjs';
import { connectionsTo, readNetLog } from './preview/net-log.mjs';
import { findVite, openWorkspace } from './preview/workspace.mjs';
import { certificate } from './support/certificates.mjs';

const PROGRAM = process.env.CHROMIUM ?? 'chromium-headless-shell';
const DOMAIN = 'cmux.app';
/** Nobody listens there on this machine: the workspaces do, on ports of their own. */
const PAGE = 'http://localhost:5173/';

/** Why there is nothing to try, or false. */
function missing() {
  try {
    execFileSync(PROGRAM, ['--version'], { stdio: 'ignore' });
    findVite();
    return false;
  } catch (error) {
    return error.code === 'ENOENT' ? `no ${PROGRAM}: apt-get install chromium-headless-shell, or CHROMIUM=program` : error.message;
  }
}

/** Whether Chromium can be told whom to trust, for a user of its own. */
function canTrust() {
  try {
    execFileSync('certutil', ['--help'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return error.code !== 'ENOENT';
  }
}

/** Chromium of a user who trusts this CA, and who lives in `home`. */
function trusting(ca, home) {
  const store = join(home, '.pki/nssdb');
  const file = join(home, 'ca.crt');
  mkdirSync(store, { recursive: true });
  writeFileSync(file, ca.cert);
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', 'own', '-i', file]);
  const { HOME } = process.env;
  process.env.HOME = home;
  try {
    return new Chromium(PROGRAM);
  } finally {
    if (HOME === undefined) delete process.env.HOME;
    else process.env.HOME = HOME;
  }
}

/** What `read` gives once it `fits`. */
async function until(read, fits) {
  for (const end = Date.now() + 30_000; ; await sleep(20)) {
    const value = await read();
    if (fits(value)) return value;
    if (Date.now() > end) assert.fail(`it is ${JSON.stringify(value)}`);
  }
}

describe('a preview in Chromium', { skip: missing(), timeout: 180_000 }, () => {
  const { pem } = certificate({ names: `DNS:*.${DOMAIN}`, authority: false });
  const app = new App();
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-preview-'));
  const localCA = createLocalCA();
  let chromium, logged, strict, one, other, server;
  const views = [];

  const view = () => {
    const webContents = new WebContents(chromium, app);
    views.push(webContents);
    return webContents;
  };
  const titleOf = (webContents) => webContents.executeJavaScript("document.querySelector('#title')?.textContent");
  const configure = (webContents, workspace) => configurePreviewProxyForView({ webContents, initialUrl: `https://cmux-${workspace}-base-5173.${DOMAIN}/` });

  before(async () => {
    // Nobody whom it knows has certified the servers, nor the proxy under TLS.
    chromium = new Chromium(PROGRAM, '--ignore-certificate-errors');
    [one, other] = await Promise.all([openWorkspace('The first', pem, DOMAIN), openWorkspace('The second', pem, DOMAIN)]);
    server = await startPreviewProxy(undefined, {
      hosts: { [`cmux-one-base-5173.${DOMAIN}`]: one.address, [`cmux-other-base-5173.${DOMAIN}`]: other.address },
      ca: pem.cert,
      interceptTls: localCA,
    });
    app.on('login', (event, webContents, _, { isProxy }, give) => {
      const credentials = isProxy ? getProxyCredentialsForWebContents(webContents.id) : null;
      if (credentials === null) return;
      event.preventDefault();
      give(credentials.username, credentials.password);
    });
  });

  afterEach(async () => {
    await Promise.all(views.splice(0).map((webContents) => webContents.destroy()));
    assert.deepEqual(server.stats().contexts, [], 'views that are destroyed leave no context');
  });

  after(async () => {
    await Promise.all([chromium?.close(), logged?.close(), strict?.close()]);
    rmSync(folder, { recursive: true });
    await stopPreviewProxy();
    await Promise.all([one, other].map((workspace) => workspace?.close()));
  });

  it('shows the page of its workspace, which changes when its file is edited', async () => {
    const webContents = view();
    await configure(webContents, 'one');
    await webContents.loadURL(PAGE);
    await until(() => titleOf(webContents), (title) => title === 'The first');
    assert.deepEqual(await webContents.executeJavaScript('[location.href, isSecureContext]'), [PAGE, true]);
    assert.equal(webContents.logins, 1, 'Chromium asks once, and remembers');

    const socket = await until(() => one.asked.find(({ headers }) => headers.upgrade === 'websocket'), (found) => found !== undefined);
    assert.equal(socket.headers.host, `cmux-one-base-5173.${DOMAIN}`);
    assert.ok(one.asked.every(({ headers }) => !('proxy-authorization' in headers)), 'credentials stay at the proxy');
    await webContents.executeJavaScript('window.stays = true');
    one.edit('The first, edited');
    await until(() => titleOf(webContents), (title) => title === 'The first, edited');
    assert.equal(await webContents.executeJavaScript('window.stays'), true, 'the page was not loaded again');
    if (process.env.SCREENSHOT) writeFileSync(process.env.SCREENSHOT, await webContents.capturePage());
  });

  it('shows https://localhost, with its WebSocket, to a Chromium that trusts the local CA', { skip: !canTrust() && 'no certutil: apt-get install libnss3-tools' }, async () => {
    strict = trusting(localCA, folder);
    const webContents = new WebContents(strict, app);
    views.push(webContents);
    await configure(webContents, 'one');
    for (const page of ['https://127.0.0.1:5173/', 'https://app.localhost:5173/', 'https://[::1]:5173/', 'https://localhost:5173/']) {
      await webContents.loadURL(page);
      await until(() => titleOf(webContents), (title) => title === one.title);
      assert.equal(await webContents.executeJavaScript('location.href'), page);
    }
    one.edit('The first, under TLS');
    await until(() => titleOf(webContents), (title) => title === 'The first, under TLS');
    // Nobody has signed for that one: it is TLS with the workspace, whom it does not know.
    await assert.rejects(webContents.loadURL('https://0.0.0.0:5173/'), /ERR_CERT_AUTHORITY_INVALID/);
  });

  it('leads the same address to the workspace of each view', async () => {
    const [first, second] = [view(), view()];
    await Promise.all([configure(first, 'one'), configure(second, 'other')]);
    await Promise.all([first.loadURL(PAGE), second.loadURL(PAGE)]);
    await until(() => titleOf(first), (title) => title === one.title);
    await until(() => titleOf(second), (title) => title === other.title);
    await until(() => other.asked.some(({ headers }) => headers.upgrade === 'websocket'), Boolean);
    other.edit('The second, edited');
    await until(() => titleOf(second), (title) => title === 'The second, edited');
    assert.equal(await titleOf(first), one.title);
  });

  it('shows a page by the host of its workspace, which may ask localhost as well', async () => {
    const webContents = view();
    await configure(webContents, 'one');
    await webContents.loadURL(`https://cmux-one-base-5173.${DOMAIN}/`);
    await until(() => titleOf(webContents), (title) => title === one.title);
    assert.equal(await webContents.executeJavaScript(`fetch('${PAGE}title.js', { mode: 'no-cors' }).then(({ type }) => type)`), 'opaque');
  });

  it('shows nothing to a view for which the app has no credentials', async () => {
    const webContents = view();
    await configure(webContents, 'one');
    const stranger = view();
    stranger.session = webContents.session;
    await stranger.loadURL(PAGE);
    assert.match(await stranger.executeJavaScript('document.body.textContent'), /Proxy Authentication Required/);
    assert.equal(await titleOf(stranger), undefined);
    assert.ok(stranger.logins > 0);
  });

  it('is that of the first view in a session, for whoever shares it', async () => {
    const [first, second] = [view(), view()];
    await configure(first, 'one');
    await first.loadURL(PAGE);
    second.session = first.session;
    await second.loadURL(PAGE);
    await until(() => titleOf(second), (title) => title === one.title);
    assert.deepEqual([first.logins, second.logins], [1, 0], 'Chromium remembers credentials for the session');
  });

  it('asks the own machine directly once the view is released', async () => {
    const webContents = view();
    const undo = await configure(webContents, 'one');
    await undo();
    await assert.rejects(webContents.loadURL(PAGE), /ERR_CONNECTION_REFUSED/);
  });

  it('asks for a hundred things at a time over one connection of HTTP/2 under TLS, and for 32 over as many in the clear, as its net log says', async () => {
    const log = join(folder, 'net-log.json');
    logged = new Chromium(PROGRAM, '--ignore-certificate-errors', `--log-net-log=${log}`);
    const ports = [];
    const waiting = [];
    const origin = createServer((request, response) => {
      response.setHeader('access-control-allow-origin', '*');
      if (request.url === '/') response.setHeader('content-type', 'text/html').end('<h1>A page</h1>');
      else waiting.push(response);
    }).listen(0, '127.0.0.1');
    await once(origin, 'listening');
    for (const [tls, most, connections] of [[undefined, 32, 32], [certificate().pem, 100, 1]]) {
      const proxy = await ProxyServer.start({ port: 0, hosts: { '*.test': `127.0.0.1:${origin.address().port}` }, tls });
      const { username, password } = proxy.createContext(1);
      const ownApp = new App().on('login', (event, _webContents, _details, _authInfo, give) => {
        event.preventDefault();
        give(username, password);
      });
      const webContents = new WebContents(logged, ownApp);
      views.push(webContents);
      ports.push(proxy.port());
      const place = `${tls === undefined ? '' : 'https://'}127.0.0.1:${proxy.port()}`;
      await webContents.session.setProxy({ proxyRules: `http=${place};https=${place}`, proxyBypassRules: '<-loopback>' });
      await webContents.loadURL('http://page.test/');
      const all = webContents.executeJavaScript("Promise.all(Array.from({ length: 100 }, (_, at) => fetch(`http://host${at}.test/${at}`).then((answer) => answer.text()))).then((texts) => texts.join())");
      await until(() => waiting.length, (count) => count >= most);
      // More would have come with them.
      await sleep(200);
      assert.deepEqual([waiting.length, proxy.stats().connections], [most, connections]);
      const answering = setInterval(() => waiting.splice(0).forEach((response) => response.end('x')), 10);
      assert.equal(await all, Array(100).fill('x').join());
      clearInterval(answering);
      await webContents.destroy();
      await proxy.stop();
    }
    origin.close();
    origin.closeAllConnections();
    // Chromium says the same.
    await logged.finish();
    const events = readNetLog(log);
    assert.deepEqual(ports.map((port) => connectionsTo(events, port)), [{ sockets: 32, streams: [] }, { sockets: 1, streams: [100] }]);
  });
});
