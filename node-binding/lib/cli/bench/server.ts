// One of the two servers that are compared, as a process of its own: `node:http` or `fasttunnel`, by its first argument.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BASE_PATH, JSON_TYPE, REQUEST_ID_HEADER, TOKEN_HEADER } from '../../facts/facts.generated.js';
import { fastTunnel } from '../../tunnel/fast-tunnel.js';
import { TASK, TOKEN } from './work.js';
import type { FromServer, ToServer } from './work.js';

const add = ({ a, b }: { a: number; b: number }): number => a + b;

async function listen(): Promise<FromServer & { port: number }> {
  if (process.argv[2] === 'fasttunnel') {
    const { port, driver } = await fastTunnel({ auth: { token: TOKEN }, tasks: { [TASK]: add } });
    return { port, driver };
  }
  return { port: await listenByNode() };
}

/** What the tunnel does for such a call, by hand. */
function listenByNode(): Promise<number> {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(TOKEN);
  const server = createServer((request, response) => {
    const send = (status: number, text: string): void => {
      response.writeHead(status, {
        'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(text), 'access-control-allow-origin': '*',
        'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', [REQUEST_ID_HEADER]: randomUUID(),
      }).end(text);
    };
    const token = request.headers[TOKEN_HEADER];
    if (typeof token !== 'string' || !timingSafeEqual(digest(token), expected)) return send(401, '{"ok":false}');
    if (request.method !== 'POST' || request.url !== `${BASE_PATH}/task/${TASK}`) return send(404, '{"ok":false}');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        const { input } = JSON.parse(Buffer.concat(chunks).toString()) as { input: { a: number; b: number } };
        send(200, `{"ok":true,"result":${JSON.stringify(add(input))}}`);
      } catch {
        send(400, '{"ok":false}');
      }
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

process.once('disconnect', () => process.exit());
process.on('message', (question: ToServer) => {
  if (question === 'cpu') process.send!({ cpuUs: cpuUs() } satisfies FromServer);
});
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
listen().then(
  (listening) => process.send!(listening),
  (error: unknown) => process.send!({ error: error instanceof Error ? error.message : String(error) } satisfies FromServer),
);
