// The server that is restarted: ends on SIGTERM by `gracefulSignals`.
//   PORT (0: any) or FD (a socket that was handed over), DRIVER, SHARDS, PLACEMENT, WORKERS, LEDGER by environment
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { tasks } from './tasks.mjs';

const { PORT, FD, DRIVER, SHARDS, PLACEMENT, WORKERS } = process.env;

const tunnel = await fastTunnel({
  ...(FD === undefined ? { port: Number(PORT) } : { fd: Number(FD) }),
  driver: DRIVER,
  shards: Number(SHARDS),
  ...(WORKERS === '0' ? { placement: PLACEMENT, tasks } : { workers: Number(WORKERS), handlers: new URL('tasks.mjs', import.meta.url) }),
  admin: {},
  gracefulSignals: true,
  auth: { allowAnonymous: true },
});
process.send({ port: tunnel.port, admin: tunnel.admin.url });
