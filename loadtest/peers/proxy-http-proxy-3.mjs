// http-proxy-3, made a forward proxy: it has no CONNECT and no credentials of its own, so that those are the app's, on node:http.
import { readFileSync } from 'node:fs';
import { Agent, createServer } from 'node:http';
import { connect } from 'node:net';
import httpProxy from 'http-proxy-3';

const { version } = JSON.parse(readFileSync(new URL('node_modules/http-proxy-3/package.json', import.meta.url), 'utf8'));
const [username, password] = ['user', 'secret'];
const proof = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
const proxy = httpProxy.createProxyServer({ agent: new Agent({ keepAlive: true }) });
proxy.on('error', (_error, _request, response) => response.destroy());

const server = createServer((request, response) => {
  if (request.headers['proxy-authorization'] !== proof) {
    response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end();
    return;
  }
  delete request.headers['proxy-authorization'];
  const { origin, pathname, search } = new URL(request.url);
  request.url = pathname + search;
  proxy.web(request, response, { target: origin });
});
server.on('connect', (request, socket, head) => {
  socket.on('error', () => {});
  if (request.headers['proxy-authorization'] !== proof) {
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n\r\n');
    return;
  }
  const { hostname, port } = new URL(`http://${request.url}`);
  const upstream = connect(Number(port || 80), hostname, () => {
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  }).on('error', () => socket.destroy());
  socket.on('close', () => upstream.destroy());
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, username, password, version: `http-proxy-3 ${version}` }));
process.on('disconnect', () => process.exit());
