import { tmpdir } from 'node:os';
import { MULTIPART } from '../facts/facts.generated.js';
import { asGroup, fail } from './checks.js';

/** Bounds of one multipart form. `Infinity`: none. */
export interface MultipartBounds {
  readonly fileSize: number;
  readonly files: number;
  readonly fieldSize: number;
  readonly fields: number;
  readonly parts: number;
}

const MEBIBYTE = 1024 * 1024;

/** What holds where nothing is said (CONTRACT 13.3). */
export const MULTIPART_DEFAULTS: MultipartBounds = Object.freeze({
  fileSize: MULTIPART.fileSize.fallback, files: MULTIPART.files.fallback, fieldSize: MULTIPART.fieldSize.fallback, fields: MULTIPART.fields.fallback, parts: MULTIPART.parts.fallback,
});

/** What holds for the others where one is given to Runner's form: what the reference's parser does by itself. */
export const PARSER_DEFAULTS: MultipartBounds = Object.freeze({ fileSize: Infinity, files: Infinity, fieldSize: MEBIBYTE, fields: Infinity, parts: Infinity });

const NAMES = Object.keys(MULTIPART) as (keyof MultipartBounds)[];

/** Known to the reference, where the first has no visible effect; the engine has bounds of its own for them. */
const IGNORED = ['fieldNameSize', 'headerPairs'] as const;

/** Checks the group `option`; what it leaves out is taken from `fallback`. */
export function asMultipart(option: string, value: unknown, fallback: MultipartBounds): MultipartBounds {
  if (value === undefined) return MULTIPART_DEFAULTS;
  const given = asGroup(option, value, [...NAMES, ...IGNORED], { maxFileSize: `${option}.fileSize`, maxFiles: `${option}.files`, maxSize: `${option}.fileSize` });
  for (const name of IGNORED) asBound(`${option}.${name}`, given[name], Infinity);
  return Object.fromEntries(NAMES.map((name) => [name, asBound(`${option}.${name}`, given[name], fallback[name])])) as unknown as MultipartBounds;
}

function asBound(option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= 0)) fail(option, value, 'must be a number from 0', 'Infinity stands for no bound.');
  return Math.floor(value);
}

/** Where files wait. Looked at when one has to, not before: it may come and go. */
export function asTempDir(option: string, value: unknown): string {
  if (value === undefined) return tmpdir();
  if (typeof value !== 'string' || value === '' || value.includes('\0')) fail(option, value, 'must be the path of a directory', "For example '/var/tmp'; the default is the system's for temporary files.");
  return value;
}
