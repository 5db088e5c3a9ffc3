// The tunnel. DRIVER, and LIMITS as JSON, by environment; everything else as it comes.
import { files } from '../../peers/tls.mjs';
import { fastTunnel } from '../../../node-binding/dist/esm/index.mjs';

const tunnel = await fastTunnel({
  driver: process.env.DRIVER ?? 'auto',
  auth: { allowAnonymous: true },
  tls: files,
  limits: JSON.parse(process.env.LIMITS ?? '{}'),
  tasks: { 'app.tasks.add': ({ a, b }) => a + b, 'app.tasks.echo': (input) => input },
});
console.log(JSON.stringify({ port: tunnel.port, version: tunnel.driver }));
process.once('SIGTERM', () => void tunnel.close().then(() => process.exit()));
