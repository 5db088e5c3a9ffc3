// Doubles of Electron's `app`, `Session` and `WebContents`, as its documents have them, with Chromium behind them.
import { EventEmitter } from 'node:events';
import { event } from './devtools.mjs';

/** Emits `login` as `electron.app` does, when a page has to prove who it is. */
export class App extends EventEmitter {
  /** What a handler of `login` has given, or nothing: Chromium cancels the request then. */
  async credentialsFor(webContents, url, { source, origin, scheme, realm }) {
    let prevented = false;
    const { hostname: host, port } = new URL(origin);
    return new Promise((resolve) => {
      const give = (username, password) => resolve(username === undefined ? undefined : { username, password });
      this.emit('login', { preventDefault: () => { prevented = true; } }, webContents, { url }, { isProxy: source === 'Proxy', scheme, host, port: Number(port), realm }, give);
      if (!prevented) resolve(undefined);
    });
  }
}

/**
 * `electron.Session`. Chromium takes the rules of a proxy when a profile is made, so that one is made when the first page is
 * loaded, and another one after `setProxy`.
 */
export class Session {
  #chromium;
  #config = { mode: 'direct' };
  #profile;

  constructor(chromium) {
    this.#chromium = chromium;
  }

  async setProxy(config) {
    this.#config = config;
    await this.closeAllConnections();
  }

  async closeAllConnections() {
    const profile = await this.#profile;
    this.#profile = undefined;
    if (profile !== undefined) await this.#chromium.send('Target.disposeBrowserContext', profile);
  }

  /** The profile that pages are opened in. */
  profile() {
    const { proxyRules, proxyBypassRules } = this.#config;
    const proxy = proxyRules === undefined ? {} : { proxyServer: proxyRules, proxyBypassList: proxyBypassRules };
    return (this.#profile ??= this.#chromium.send('Target.createBrowserContext', proxy));
  }
}

/** `electron.WebContents`, with a session of its own. */
export class WebContents extends EventEmitter {
  static #last = 0;
  id = ++WebContents.#last;
  session;
  #chromium;
  #app;
  #page;
  #target;
  #destroyed = false;
  /** How often its app was asked for credentials. */
  logins = 0;

  constructor(chromium, app) {
    super();
    this.#chromium = chromium;
    this.#app = app;
    this.session = new Session(chromium);
  }

  isDestroyed() {
    return this.#destroyed;
  }

  /** Resolves when the page has loaded. */
  async loadURL(url) {
    const { browserContextId } = await this.session.profile();
    this.#target = (await this.#chromium.send('Target.createTarget', { url: 'about:blank', browserContextId })).targetId;
    this.#page = (await this.#chromium.send('Target.attachToTarget', { targetId: this.#target, flatten: true })).sessionId;
    this.#chromium.on('Fetch.requestPaused', ({ requestId }, page) => this.#answer(page, 'Fetch.continueRequest', { requestId }));
    this.#chromium.on('Fetch.authRequired', (asked, page) => page === this.#page && this.#logIn(asked));
    await this.#ask('Fetch.enable', { handleAuthRequests: true });
    await this.#ask('Page.enable');
    const loaded = event(this.#chromium, 'Page.loadEventFired', (_, page) => page === this.#page);
    const { errorText } = await this.#ask('Page.navigate', { url });
    if (errorText !== undefined) {
      loaded.catch(() => {});
      throw new Error(`${errorText}: ${url}`);
    }
    await loaded;
  }

  async executeJavaScript(expression) {
    const { result, exceptionDetails } = await this.#ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** The page as PNG. */
  async capturePage() {
    return Buffer.from((await this.#ask('Page.captureScreenshot', { format: 'png' })).data, 'base64');
  }

  async destroy() {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.emit('destroyed');
    if (this.#target !== undefined) await this.#chromium.send('Target.closeTarget', { targetId: this.#target });
  }

  async #logIn({ requestId, request, authChallenge }) {
    this.logins += 1;
    const credentials = await this.#app.credentialsFor(this, request.url, authChallenge);
    const authChallengeResponse = credentials === undefined ? { response: 'CancelAuth' } : { response: 'ProvideCredentials', ...credentials };
    this.#answer(this.#page, 'Fetch.continueWithAuth', { requestId, authChallengeResponse });
  }

  /** The page may be gone meanwhile. */
  #answer(page, method, params) {
    if (page === this.#page) this.#ask(method, params).catch(() => {});
  }

  #ask(method, params) {
    return this.#chromium.send(method, params, this.#page);
  }
}
