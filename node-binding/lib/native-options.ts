import type { NativeOptions } from './addon.js';
import type { EngineOptions } from './bridge-types.js';
import type { ValueCodec } from './codec.js';

/** Options as the addon takes them. */
export function nativeOptions(options: EngineOptions, codec: ValueCodec): NativeOptions {
  const { auth, cors, limits, socketPath, ...rest } = options;
  const { drainTimeoutMs: _ours, ...bounds } = limits;
  const native: NativeOptions = {
    ...rest,
    tokenHeader: auth.header,
    tokens: auth.tokens,
    allowAnonymous: auth.allowAnonymous,
    exactBodies: codec.exact,
    limits: bounds,
  };
  if (socketPath !== undefined) native.socketPath = socketPath;
  if (cors !== undefined) {
    const { origin, maxAge, ...lists } = cors;
    native.cors = { ...lists };
    if (typeof origin === 'string') native.cors.fixedOrigin = origin;
    else if (Array.isArray(origin)) native.cors.listedOrigins = origin;
    if (maxAge !== undefined) native.cors.maxAge = maxAge;
  }
  return native;
}
