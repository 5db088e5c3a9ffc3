import type { TlsEngineOptions } from '../options/tls.js';
import type { NativeTls } from './addon.js';

/** What native code takes to encrypt with. */
export function nativeTls({ identities, minVersion, ca, requireClientCert }: TlsEngineOptions): NativeTls {
  return { identities, minVersion, requireClientCert, ...(ca === undefined ? {} : { ca }) };
}
