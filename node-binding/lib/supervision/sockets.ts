import { optionErrorOf } from '../errors/errors.js';
import { addon } from '../native/addon.js';
import { resolveHost } from '../options/addresses.js';
import type { Address } from '../options/addresses.js';
import type { AdminEngineOptions } from '../options/admin.js';

/**
 * An address with all that is known of it before it is listened on: the IP address of its host's name, or what a socket that
 * was handed over is bound to. Rejects with a ListenError, or an OptionError where that is no such socket. `option` names
 * the descriptor in messages.
 */
export async function locate<Given extends Address>(option: string, address: Given): Promise<Given> {
  if (address.fd === undefined) return await resolveHost(address);
  try {
    const { host = address.host, port, socketPath } = addon().inheritedSocket(option, address.fd);
    return { ...address, host, port, ...(socketPath === undefined ? {} : { socketPath }) };
  } catch (error) {
    throw optionErrorOf(error);
  }
}

/** As {@link locate}, of the admin listener and of its agent. */
export async function locateAdmin(option: string, admin: AdminEngineOptions | undefined): Promise<{ admin?: AdminEngineOptions }> {
  if (admin === undefined) return {};
  const agent = admin.agent === undefined ? {} : { agent: await locate(`${option}.agent.fd`, admin.agent) };
  return { admin: { ...(await locate(`${option}.fd`, admin)), ...agent } };
}
