// The side of an Electron app, against doubles of WebContents and Session that behave as Electron documents, and curl for Chromium.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { ClosedError, configurePreviewProxyForView, getProxyCredentialsForWebContents, OptionError, previewPartition, previewRoute, releasePreviewProxy, startPreviewProxy, stopPreviewProxy } from '../dist/esm/electron/index.mjs';
import { certificate } from './support/certificates.mjs';

const run = promisify(execFile);
const URL_OF_A_WORKSPACE = 'https://cmux-abc-base-3000.cmux.app/page';

class Session {
  proxies = [];
  failing = false;
  closing = { count: 0, failing: false };
  async setProxy(config) {
    if (this.failing) throw new Error('setProxy has failed');
    this.proxies.push(config);
  }
  async closeAllConnections() {
    this.closing.count += 1;
    if (this.closing.failing) throw new Error('closeAllConnections has failed');
  }
}

class WebContents extends EventEmitter {
  static #next = 1;
  id = WebContents.#next++;
  session = new Session();
  #destroyed = false;
  isDestroyed() { return this.#destroyed; }
  destroy() { this.#destroyed = true; this.emit('destroyed'); }
}

afterEach(stopPreviewProxy);

/** The status that Chromium would get, which asks for credentials as the app gives them. */
async function ask(webContents) {
  const port = /^http=127\.0\.0\.1:(\d+);https=127\.0\.0\.1:\1$/.exec(webContents.session.proxies.at(-1).proxyRules)[1];
  const credentials = getProxyCredentialsForWebContents(webContents.id);
  const { stdout } = await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--proxy', `http://127.0.0.1:${port}`, ...(credentials === null ? [] : ['--proxy-user', `${credentials.username}:${credentials.password}`]), 'http://127.0.0.1:22/']);
  return Number(stdout);
}

describe('a preview in Electron', { timeout: 20_000 }, () => {
  it('knows the workspace by the host of its page', () => {
    for (const [url, route] of [
      [URL_OF_A_WORKSPACE, { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.app' }],
      ['https://cmux-a-b-c-base-80.autobuild.app', { morphId: 'a-b-c', scope: 'base', domainSuffix: 'autobuild.app' }],
      ['https://port-39378-morphvm-abc.http.cloud.morph.so/?q', { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.app', morphDomainSuffix: '.http.cloud.morph.so' }],
      ['https://cmux-abc-base-3000.evil.com', undefined],
      ['https://cmux-abc-3000.cmux.app', undefined],
      ['https://cmux.app', undefined],
      ['http://localhost:5173', undefined],
      ['no url', undefined],
    ]) assert.deepEqual(previewRoute(url), route, url);
    for (const domainSuffix of ['cmux.app', 'cmux.sh', 'cmux.dev', 'cmux.local', 'cmux.localhost', 'autobuild.app']) {
      assert.deepEqual(previewRoute(`https://CMUX-abc-base-3000.${domainSuffix}/`), { morphId: 'abc', scope: 'base', domainSuffix });
    }
    // The first half of what `printf key | sha256sum` says: what apps have kept is found again.
    assert.equal(previewPartition('key'), 'persist:cmux-preview-2c70e12b7a0646f92279f427');
    const own = 'https://cmux-abc-base-3000.Previews.example.com';
    assert.deepEqual([previewRoute(own), previewRoute(own, ['previews.Example.com'])], [undefined, { morphId: 'abc', scope: 'base', domainSuffix: 'previews.example.com' }]);
    assert.equal(previewRoute(own, ['example.com']), undefined);
    for (const domains of ['a.com', ['.a.com'], ['*.a.com'], [1]]) assert.throws(() => previewRoute(own, domains), OptionError);
    assert.deepEqual([previewPartition(undefined), previewPartition(null)], [null, null]);
  });

  it('goes through the one proxy, with credentials of its own', async () => {
    const server = await startPreviewProxy();
    assert.equal(await startPreviewProxy(), server);
    assert.ok(server.port() >= 39_385 && server.port() < 39_435);
    const [one, other] = [new WebContents(), new WebContents()];
    await Promise.all([one, other].map((webContents) => configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE, persistKey: 'key' })));
    assert.deepEqual(one.session.proxies, [{ proxyRules: `http=127.0.0.1:${server.port()};https=127.0.0.1:${server.port()}`, proxyBypassRules: '<-loopback>' }]);
    assert.notDeepEqual(getProxyCredentialsForWebContents(one.id), getProxyCredentialsForWebContents(other.id));
    assert.equal(getProxyCredentialsForWebContents(0), null);
    // The workspace is out of reach here, but the route is taken: its port is none of the own machine's.
    assert.notEqual(await ask(one), 407);
    await releasePreviewProxy(one.id);
    assert.deepEqual(one.session.proxies.at(-1), { mode: 'system' });
    assert.equal(getProxyCredentialsForWebContents(one.id), null);
    assert.equal(one.listenerCount('destroyed'), 0);
    assert.deepEqual(server.stats().contexts.map(({ id }) => Number(id.split('-')[1])), [other.id]);
    await releasePreviewProxy(one.id);
    await stopPreviewProxy();
    assert.throws(() => server.createContext(1), (error) => error instanceof ClosedError && /the proxy is closed/.test(error.message));
  });

  it('has Chromium speak TLS to a proxy that has a certificate', async () => {
    const server = await startPreviewProxy(undefined, { tls: certificate().pem });
    const webContents = new WebContents();
    await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE });
    assert.equal(webContents.session.proxies[0].proxyRules, `http=https://127.0.0.1:${server.port()};https=https://127.0.0.1:${server.port()}`);
    await stopPreviewProxy();
    await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE });
    assert.match(webContents.session.proxies.at(-1).proxyRules, /^http=127/, 'the next one has none');
  });

  it('leaves nothing behind when its view is destroyed', async () => {
    const server = await startPreviewProxy();
    const webContents = new WebContents();
    const undo = await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE });
    webContents.destroy();
    assert.equal(getProxyCredentialsForWebContents(webContents.id), null);
    assert.deepEqual(server.stats().contexts, []);
    await undo();
    assert.equal(await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE }), undefined, 'it is gone');
    assert.equal(server.stats().contexts.length, 0);
  });

  it('is as before when the session refuses', async () => {
    const server = await startPreviewProxy();
    const webContents = new WebContents();
    webContents.session.failing = true;
    await assert.rejects(configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE }), /setProxy has failed/);
    assert.deepEqual([server.stats().contexts.length, webContents.listenerCount('destroyed'), getProxyCredentialsForWebContents(webContents.id)], [0, 0, null]);
    webContents.session.failing = false;
    await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE });
    const before = getProxyCredentialsForWebContents(webContents.id);
    webContents.session.failing = true;
    await assert.rejects(configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE }));
    assert.deepEqual(getProxyCredentialsForWebContents(webContents.id), before, 'what it had goes on');
    webContents.session.failing = false;
    await configurePreviewProxyForView({ webContents, initialUrl: 'https://cmux-other-base-1.cmux.app' });
    assert.notDeepEqual(getProxyCredentialsForWebContents(webContents.id), before);
    assert.deepEqual([server.stats().contexts.length, webContents.listenerCount('destroyed')], [1, 1]);
  });

  it('closes the connections that the session has, and is as before when that fails', async () => {
    const webContents = new WebContents();
    const { session } = webContents;
    const server = await startPreviewProxy();
    session.closing.failing = true;
    await assert.rejects(configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE }), /closeAllConnections has failed/);
    assert.deepEqual([session.proxies.length, session.proxies.at(-1), server.stats().contexts.length, webContents.listenerCount('destroyed')], [2, { mode: 'system' }, 0, 0]);
    assert.equal(getProxyCredentialsForWebContents(webContents.id), null);
    session.closing = { count: 0, failing: false };
    await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE });
    assert.equal(session.closing.count, 1);
  });

  it('tells the logger that it is given, and no password', async () => {
    const heard = [];
    const logger = { log: (...told) => heard.push(told), warn: (...told) => heard.push(told) };
    const webContents = new WebContents();
    await configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE, persistKey: 'key', logger });
    const route = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.app' };
    assert.deepEqual(heard, [
      ['preview proxy listens', { port: (await startPreviewProxy()).port() }],
      ['preview proxy configured', { webContentsId: webContents.id, persistKey: 'key', route }],
    ]);
    const { username, password } = getProxyCredentialsForWebContents(webContents.id);
    for (const secret of [username, password]) assert.ok(!JSON.stringify(heard).includes(secret));
  });

  it('leaves a view alone that is to go through another proxy', async () => {
    const webContents = new WebContents();
    const configure = (enabled) => configurePreviewProxyForView({ webContents, initialUrl: URL_OF_A_WORKSPACE, enabled });
    assert.equal(await configure(false), undefined);
    assert.deepEqual([webContents.session.proxies, webContents.session.closing.count, webContents.listenerCount('destroyed')], [[], 0, 0]);
    assert.equal(getProxyCredentialsForWebContents(webContents.id), null);
    // As an environment has it: neither is guessed.
    await assert.rejects(configure('false'), /enabled must be true or false/);
    for (const enabled of [undefined, true]) assert.equal(typeof await configure(enabled), 'function');
    // What was set up before goes on, until it is undone.
    assert.equal(await configure(false), undefined);
    assert.notEqual(getProxyCredentialsForWebContents(webContents.id), null);
  });

  it('changes nothing for pages of no workspace, and says so', async () => {
    const webContents = new WebContents();
    const warned = [];
    const logger = { warn: (...told) => warned.push(told) };
    assert.equal(await configurePreviewProxyForView({ webContents, initialUrl: 'https://cmux-abc-base-1.example.com/?token=secret', persistKey: 'key', logger }), undefined);
    assert.deepEqual(webContents.session.proxies, []);
    assert.deepEqual(warned, [['preview proxy skipped: the page is of no workspace', { host: 'cmux-abc-base-1.example.com', persistKey: 'key' }]]);
    await configurePreviewProxyForView({ webContents, initialUrl: 'https://cmux-abc-base-1.example.com', domains: ['example.com'], logger });
    assert.deepEqual([webContents.session.proxies.length, warned.length], [1, 1]);
  });
});
