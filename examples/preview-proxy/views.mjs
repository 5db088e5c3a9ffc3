// In place of Electron, so that the example runs without it: what main.mjs uses of `app` and `WebContents`.
import { EventEmitter } from 'node:events';
import { request } from 'node:http';

export const app = new EventEmitter();

/** A view that prints the page it loads. It proves who it is when the proxy demands it, as Chromium does. */
export class View extends EventEmitter {
  static #last = 0;
  id = ++View.#last;
  #rules = '';
  #destroyed = false;
  session = {
    setProxy: async ({ proxyRules = '' }) => {
      this.#rules = proxyRules;
    },
  };

  isDestroyed() {
    return this.#destroyed;
  }

  destroy() {
    this.#destroyed = true;
    this.emit('destroyed');
  }

  async loadURL(url) {
    let { status, text } = await this.#ask(url);
    if (status === 407) {
      console.log(`view ${this.id}: the proxy asks who it is`);
      ({ status, text } = await this.#ask(url, await this.#logIn(url)));
    }
    console.log(`view ${this.id}: ${url} ${status} ${text}`);
  }

  #logIn(url) {
    return new Promise((resolve, reject) => {
      const event = { preventDefault: () => clearImmediate(nobody) };
      const nobody = setImmediate(() => reject(new Error('nobody has given credentials')));
      app.emit('login', event, this, { url }, { isProxy: true, scheme: 'basic' }, (username, password) => resolve(`${username}:${password}`));
    });
  }

  #ask(url, credentials) {
    const [, host, port] = /^http=([^:]+):(\d+)/.exec(this.#rules);
    const headers = credentials === undefined ? {} : { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
    return new Promise((resolve, reject) => {
      const asked = request({ host, port, path: url, headers: { host: new URL(url).host, ...headers } }, async (response) => {
        resolve({ status: response.statusCode, text: Buffer.concat(await response.toArray()).toString() });
      });
      asked.on('error', reject).end();
    });
  }
}
