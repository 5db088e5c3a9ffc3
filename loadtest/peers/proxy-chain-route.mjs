// proxy-chain that does what ours does for a context with a route: a function of the app looks at the credentials, and leads hosts of the
// own machine to the workspace, WORKSPACE.
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { Server } from 'proxy-chain';
import { hostOf, workspace } from './route.mjs';

const { version } = JSON.parse(readFileSync(new URL('node_modules/proxy-chain/package.json', import.meta.url), 'utf8'));
const [username, password] = ['user', 'secret'];

/** Connections that are kept, to where the workspace listens, whatever its name is. */
class Led extends Agent {
  createConnection(options, heard) {
    return super.createConnection({ ...options, host: workspace.host, port: Number(workspace.port) }, heard);
  }
}
const httpsAgent = new Led({ keepAlive: true, ca: workspace.ca });

const isOwn = (host) => host === 'localhost' || host.endsWith('.localhost') || /^127(?:\.\d{1,3}){3}$/.test(host) || host === '0.0.0.0' || host === '[::1]';

/** proxy-chain asks for what the request says after this, with its fields as they came. */
function rewrite(request, port) {
  const host = hostOf(port);
  const { pathname, search } = new URL(request.url);
  request.url = `https://${host}${pathname}${search}`;
  const fields = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at].toLowerCase();
    if (!name.startsWith('x-cmux-')) fields.push(request.rawHeaders[at], name === 'host' ? host : request.rawHeaders[at + 1]);
  }
  request.rawHeaders = fields;
}

const server = new Server({
  host: '127.0.0.1',
  port: 0,
  prepareRequestFunction: ({ request, hostname, port, isHttp, ...asked }) => {
    if (asked.username !== username || asked.password !== password) return { requestAuthentication: true };
    if (isHttp && isOwn(hostname)) rewrite(request, port);
    return { httpsAgent };
  },
});
await server.listen();
process.on('disconnect', () => process.exit());
process.send({ port: server.port, username, password, version: `proxy-chain ${version}, with a hook` });
