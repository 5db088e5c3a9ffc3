// Where to listen: the tunnel itself, and its admin listener.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { NUMBERS } from '../facts/bounds.js';
import { listenErrorOf } from '../errors/listen-error.js';
import type { Where } from '../errors/listen-error.js';
import { asInteger, fail } from './checks.js';
import { asInherited } from './inherited.js';

/** An address as it was given: a socket path, or host and port. */
export interface Address {
  host: string;
  port: number;
  socketPath?: string;
  /** Of a socket that another process has bound. Where that is, is found out before it is listened on. */
  fd?: number;
}

/** Where a tunnel says how it is. */
export interface AdminAddress {
  /** Behind it come `/livez` and `/readyz`; with a socket path `unix:<path>:`. */
  readonly url: string;
  readonly host: string;
  /** 0 with a socket path. */
  readonly port: number;
  readonly socketPath: string | undefined;
  /** Where balancers are told how busy it is, if the option `admin.agent` is set. */
  readonly agent?: AgentAddress;
}

/** Where balancers are told how busy a tunnel is. */
export interface AgentAddress {
  readonly host: string;
  /** 0 with a socket path. */
  readonly port: number;
  readonly socketPath: string | undefined;
}

/** `port`, `host`, `socketPath` and `fd` of a group of options; `prefix` stands before their names in messages. */
export function asAddress(prefix: string, given: Readonly<Partial<Record<'port' | 'host' | 'socketPath' | 'fd', unknown>>>): Address {
  const socketPath = asSocketPath(`${prefix}socketPath`, given.socketPath);
  const fd = asInherited(`${prefix}fd`, given.fd);
  const whole = fd !== undefined ? 'fd' : 'socketPath';
  if (given[whole] !== undefined) {
    for (const name of ['port', 'host', 'socketPath'] as const) {
      if (name !== whole && given[name] !== undefined) fail(`${prefix}${name}`, given[name], `cannot be combined with ${prefix}${whole}`, `Leave out ${prefix}${name} or ${prefix}${whole}.`);
    }
  }
  return {
    host: asHost(`${prefix}host`, given.host),
    port: asInteger(`${prefix}port`, given.port, NUMBERS.port),
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(fd === undefined ? {} : { fd }),
  };
}

/** An address with the IP address of its host's name instead of the name. Rejects with a ListenError. */
export async function resolveHost<Given extends Address>(address: Given): Promise<Given> {
  if (address.socketPath !== undefined || isIP(address.host) !== 0) return address;
  try {
    return { ...address, host: (await lookup(address.host)).address };
  } catch (error) {
    throw listenErrorOf(error, whereOf(address));
  }
}

/** As an address is written in messages; with an IP address, as the engine does. */
export function showAddress({ host, port, socketPath }: Address): string {
  return socketPath ?? `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** An address as errors name it; `role`: what it is for, where that is not calls. */
export function whereOf(address: Address, role?: string): Where {
  return { shown: showAddress(address), socketPath: address.socketPath, role };
}

/** The addresses beside that of calls, as errors name them. */
export function othersOf(admin: (Address & { agent?: Address }) | undefined): Where[] {
  return admin === undefined ? [] : [whereOf(admin, 'admin'), ...(admin.agent === undefined ? [] : [whereOf(admin.agent, 'agent')])];
}

/** What a client calls that is to reach the address. */
export function urlOf({ host, port, socketPath }: Readonly<Address>, encrypted = false): string {
  if (socketPath !== undefined) return `unix:${socketPath}:`;
  // "Every address" is nothing that a client can call.
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${encrypted ? 'https' : 'http'}://${showAddress({ host: reachable, port })}`;
}

function asHost(option: string, value: unknown): string {
  if (value === undefined) return '127.0.0.1';
  if (typeof value !== 'string' || !/^[0-9A-Za-z.:_-]+$/.test(value)) {
    const bracketed = typeof value === 'string' ? /^\[(.+)\]$/.exec(value)?.[1] : undefined;
    fail(option, value, 'must be a host name or an IP address', bracketed === undefined ? "Use '127.0.0.1' for this machine only, '0.0.0.0' for all networks." : `Write '${bracketed}', without brackets.`);
  }
  return value;
}

function asSocketPath(option: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    fail(option, value, 'must be the path of a Unix domain socket', "For example '/run/app/tunnel.sock'.");
  }
  const bytes = Buffer.byteLength(value);
  if (bytes > 107) fail(option, value, `must have at most 107 bytes (it has ${bytes}): the system has no room for more`, 'Use a shorter path.');
  return value;
}
