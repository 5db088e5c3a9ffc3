// fasttunnel by itself, as it is built in this checkout. SHARDS=2: not as many as it would take by default; PLACEMENT=inline:
// not where it would put them.
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { files } from './tls.mjs';
import { BASE_PATH, HOST, introduce, PORT, tasks } from './work.mjs';

const shards = process.env.SHARDS === undefined ? {} : { shards: Number(process.env.SHARDS) };
const placement = process.env.PLACEMENT === undefined ? {} : { placement: process.env.PLACEMENT };
const tunnel = await fastTunnel({ port: PORT, host: HOST, basePath: BASE_PATH, auth: { allowAnonymous: true }, tasks, ...shards, ...placement, ...(files && { tls: files }) });
introduce(`fasttunnel on ${tunnel.driver}, ${tunnel.placement}${tunnel.driverReason ? ` (${tunnel.driverReason})` : ''}, Node.js ${process.version}`);
