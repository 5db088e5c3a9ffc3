import { ProxyServer } from '../proxy/server.js';
import { isEnabled } from '../proxy/options.js';
import type { ProxyContext, ProxyOptions } from '../proxy/types.js';
import { hostOf, previewRoute } from './route.js';
import type { PreviewLogger, PreviewView, PreviewWebContents, ProxyCredentials } from './types.js';

const FIRST_PORT = 39_385;
const PORTS = 50;

/** A view that goes through the proxy. */
interface Configured {
  readonly context: ProxyContext;
  readonly webContents: PreviewWebContents;
  readonly onDestroyed: () => void;
}

let starting: Promise<ProxyServer> | undefined;
let running: ProxyServer | undefined;
/** How Chromium is told to speak to it: in the clear, unless the app has given a certificate. */
let scheme = '';
const views = new Map<number, Configured>();

/**
 * Starts the one proxy of this process, on port 39385 or one of the 49 after it; once it runs, it is that one again, whatever the options
 * say. `configurePreviewProxyForView()` starts it without options: where some are needed, start it before.
 */
export function startPreviewProxy(logger?: PreviewLogger, options?: Omit<ProxyOptions, 'host' | 'port'>): Promise<ProxyServer> {
  starting ??= ProxyServer.startWithAutoPort('127.0.0.1', FIRST_PORT, PORTS, true, options).then(
    (server) => {
      running = server;
      scheme = options?.tls === undefined ? '' : 'https://';
      logger?.log?.('preview proxy listens', { port: server.port() });
      return server;
    },
    (error: unknown) => {
      // Tried again by the next view.
      starting = undefined;
      throw error;
    },
  );
  return starting;
}

/** Ends it, with all contexts. */
export async function stopPreviewProxy(): Promise<void> {
  const server = await starting?.catch(() => undefined);
  for (const { webContents, onDestroyed } of views.values()) webContents.removeListener('destroyed', onDestroyed);
  views.clear();
  [starting, running] = [undefined, undefined];
  await server?.stop();
}

/**
 * Leads what a view asks of the own machine to the workspace that it shows. Resolves with what undoes that, or with `undefined` for a page
 * of no workspace and with `enabled: false`, for which nothing changes. When it rejects, everything is as before.
 */
export async function configurePreviewProxyForView({ webContents, initialUrl, domains, persistKey, enabled, logger }: PreviewView): Promise<(() => Promise<void>) | undefined> {
  if (!isEnabled(enabled)) return undefined;
  const route = previewRoute(initialUrl, domains);
  if (route === undefined) {
    // What follows the host may be secret.
    logger?.warn?.('preview proxy skipped: the page is of no workspace', { host: hostOf(initialUrl), persistKey });
    return undefined;
  }
  const server = await startPreviewProxy(logger);
  if (webContents.isDestroyed()) return undefined;
  const { id, session } = webContents;
  const context = server.createContext(id, route);
  const onDestroyed = (): void => forget(id, context);
  webContents.once('destroyed', onDestroyed);
  const before = views.get(id);
  // Chromium may ask for the credentials before `setProxy` has resolved.
  views.set(id, { context, webContents, onDestroyed });
  try {
    // Without `<-loopback>` Chromium asks the own machine directly, whatever the rules say.
    const place = `${scheme}127.0.0.1:${server.port()}`;
    await session.setProxy({ proxyRules: `http=${place};https=${place}`, proxyBypassRules: '<-loopback>' });
    await session.closeAllConnections?.();
  } catch (error) {
    webContents.removeListener('destroyed', onDestroyed);
    server.releaseContext(context.id);
    if (views.get(id)?.context === context) {
      if (before === undefined) views.delete(id);
      else views.set(id, before);
    }
    // The proxy that it had before is still there for it.
    if (before === undefined) await session.setProxy({ mode: 'system' }).catch(() => undefined);
    throw error;
  }
  if (before !== undefined) {
    webContents.removeListener('destroyed', before.onDestroyed);
    server.releaseContext(before.context.id);
  }
  logger?.log?.('preview proxy configured', { webContentsId: id, persistKey, route });
  return () => undo(id, context);
}

/** For `app.on('login')`, when `authInfo.isProxy`: `null` for a WebContents that does not go through the proxy. */
export function getProxyCredentialsForWebContents(id: number): ProxyCredentials | null {
  const context = views.get(id)?.context;
  return context === undefined ? null : { username: context.username, password: context.password };
}

/** Ends what was configured for a WebContents, if anything was. */
export async function releasePreviewProxy(id: number): Promise<void> {
  const view = views.get(id);
  if (view !== undefined) await undo(id, view.context);
}

async function undo(id: number, context: ProxyContext): Promise<void> {
  const view = views.get(id);
  if (view?.context !== context) return;
  const { webContents, onDestroyed } = view;
  webContents.removeListener('destroyed', onDestroyed);
  forget(id, context);
  if (!webContents.isDestroyed()) await webContents.session.setProxy({ mode: 'system' });
}

function forget(id: number, context: ProxyContext): void {
  if (views.get(id)?.context === context) views.delete(id);
  running?.releaseContext(context.id);
}
