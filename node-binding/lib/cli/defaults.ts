// What several commands agree on.

/** Where `serve` listens, and what `doctor` looks at. */
export const DEFAULT_PORT = 7070;

/** Holds a token for those who do not want it in the list of processes. */
export const TOKEN_VARIABLE = 'FASTTUNNEL_TOKEN';

/** The token of that variable. */
export function tokenOfEnvironment(): string | undefined {
  return process.env[TOKEN_VARIABLE] || undefined;
}
