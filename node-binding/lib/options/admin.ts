// The admin listener: where, and with what it encrypts.
import { asAddress } from './addresses.js';
import type { Address } from './addresses.js';
import { asBoolean, asGroup, failHidden } from './checks.js';
import { asEncryption } from './tls.js';
import type { TlsEngineOptions } from './tls.js';

/** Where a tunnel says how it is. */
export interface AdminEngineOptions extends Address {
  /** Where it tells balancers. Default: nowhere. */
  agent?: Address;
  /** True: with what the tunnel encrypts with. Without it nothing is encrypted. */
  tls?: true | TlsEngineOptions;
  /** A page there shows what the tunnel does. */
  dashboard?: boolean;
}

/** The option `admin`; without it there is no such listener. `tunnelTls`: what the tunnel encrypts with, where that was given. */
export function asAdmin(option: string, value: unknown, tunnelTls: unknown, tlsOption: string): { admin?: AdminEngineOptions } {
  if (value === undefined) return {};
  const given = asGroup(option, value, ['port', 'host', 'socketPath', 'fd', 'agent', 'tls', 'dashboard'], { hostname: `${option}.host`, path: `${option}.socketPath`, listen: `${option}.port` });
  const { tls, dashboard } = given;
  const agent = given.agent === undefined ? {} : { agent: asAgent(`${option}.agent`, given.agent) };
  const address = { ...asAddress(`${option}.`, given), ...agent, ...(dashboard === undefined ? {} : { dashboard: asBoolean(`${option}.dashboard`, dashboard, false) }) };
  if (tls === undefined || tls === false) return { admin: address };
  if (tls !== true) return { admin: { ...address, tls: asEncryption(`${option}.tls`, tls) } };
  if (tunnelTls === undefined) failHidden(`${option}.tls`, `is true, and ${tlsOption} is missing`, `Give ${tlsOption}, or { cert, key } here.`);
  return { admin: { ...address, tls } };
}

/** Balancers are told in clear: their agents speak no TLS. */
function asAgent(option: string, value: unknown): Address {
  return asAddress(`${option}.`, asGroup(option, value, ['port', 'host', 'socketPath', 'fd'], { hostname: `${option}.host`, path: `${option}.socketPath` }));
}
