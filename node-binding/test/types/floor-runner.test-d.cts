// The same for Runner's side, as far as Runner's own declarations let it.
import { fastTunnel } from 'fasttunnel/runner';
import type { FastTunnelExposure } from 'fasttunnel/runner';

void fastTunnel.with({ http: { listen: { port: 0 }, auth: { token: 't' } }, engine: { shards: 1 } });
const urlOf = (exposure: FastTunnelExposure): string => exposure.url;
void urlOf;
