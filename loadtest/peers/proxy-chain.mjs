// proxy-chain, which asks a function of the app about each request: here it looks at the credentials.
import { readFileSync } from 'node:fs';
import { Server } from 'proxy-chain';

const { version } = JSON.parse(readFileSync(new URL('node_modules/proxy-chain/package.json', import.meta.url), 'utf8'));
const [username, password] = ['user', 'secret'];
const server = new Server({
  host: '127.0.0.1',
  port: 0,
  prepareRequestFunction: (asked) => ({ requestAuthentication: asked.username !== username || asked.password !== password }),
});
await server.listen();
process.on('disconnect', () => process.exit());
process.send({ port: server.port, username, password, version: `proxy-chain ${version}` });
