import { utilitiesAddon } from './native.js';
import type { NativeVersion } from './native.js';

/** What the native addon is. */
export interface Version extends NativeVersion {}

/**
 * What the native addon is: the `version` of the package, the commit (`gitHash`, `unknown` where it was built without git),
 * the `buildTime` as ISO 8601, and the `rustVersion` of the compiler.
 */
export function getVersion(): Version {
  return utilitiesAddon().nativeVersion();
}
