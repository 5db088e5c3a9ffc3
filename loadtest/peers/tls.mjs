// What servers under TLS begin with: TLS=folder has the certificate and its key. Without it, nothing is encrypted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.TLS;

/** Paths, or undefined. */
export const files = folder === undefined ? undefined : { cert: join(folder, 'own.crt'), key: join(folder, 'own.key') };

/** PEM, or undefined. */
export const pem = files && { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
