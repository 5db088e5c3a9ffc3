// The main process of an Electron app that previews workspaces. In an app: `previews(app)` once, `preview(view.webContents, url)` for each view.
import { configurePreviewProxyForView, getProxyCredentialsForWebContents, startPreviewProxy, stopPreviewProxy } from 'fasttunnel/proxy/electron';

/** Starts the proxy, and lets it log views in. `app` is Electron's. */
export async function previews(app, options = {}) {
  // Chromium takes no credentials from the rules of a proxy: it asks the app.
  app.on('login', (event, webContents, _details, authInfo, callback) => {
    const credentials = authInfo.isProxy && webContents ? getProxyCredentialsForWebContents(webContents.id) : null;
    if (credentials === null) return;
    event.preventDefault();
    callback(credentials.username, credentials.password);
  });
  app.on('will-quit', () => void stopPreviewProxy());
  return startPreviewProxy(console, options);
}

/** Shows `localhost:<port>` of the workspace that `url` is of. Each view needs a session of its own. */
export async function preview(webContents, url, port) {
  const undo = await configurePreviewProxyForView({ webContents, initialUrl: url });
  if (undo === undefined) throw new Error(`${url} is a page of no workspace`);
  await webContents.loadURL(`http://localhost:${port}/`);
  return undo;
}
