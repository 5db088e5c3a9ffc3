// What proxies that rewrite are told: WORKSPACE is where a workspace listens under TLS, and CA the file of its certificate.
import { readFileSync } from 'node:fs';

export const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };

/** `{ host, port, ca }`, or undefined. */
export const workspace = process.env.WORKSPACE && { ...process.env.WORKSPACE.match(/^(?<host>.+):(?<port>\d+)$/).groups, ca: readFileSync(process.env.CA, 'utf8') };

/** Where `port` of the own machine leads to. */
export const hostOf = (port) => `cmux-${ROUTE.morphId}-${ROUTE.scope}-${port}.${ROUTE.domainSuffix}`;
