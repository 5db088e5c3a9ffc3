// Bytes that both ends know: those of a call lie at a place of their own in one long pattern.
import { createHash } from 'node:crypto';
import { Dice } from './dice.mjs';

export const MOST_BYTES = 768 * 1024;
const PLACES = 256 * 1024;

const PATTERN = Buffer.alloc(MOST_BYTES + PLACES);
const dice = new Dice(20_251_121);
for (let at = 0; at < PATTERN.length; at += 4) PATTERN.writeUInt32LE(Math.floor(dice.next() * 2 ** 32), at);

/** So many bytes for the call `id`: a view, not to be written to. */
export function patternOf(id, length) {
  let place = 0;
  for (let at = 0; at < id.length; at += 1) place = (Math.imul(place, 31) + id.charCodeAt(at)) >>> 0;
  return PATTERN.subarray(place % PLACES, (place % PLACES) + length);
}

/** Length and hash, as the tasks that read bytes report them. */
export const digestOf = (bytes) => ({ bytes: bytes.length, hash: createHash('sha1').update(bytes).digest('hex') });

/** Cuts bytes at chance places, into at most so many pieces. */
export function slices(dice, bytes, most) {
  const cuts = Array.from({ length: dice.between(0, most - 1) }, () => dice.between(1, Math.max(1, bytes.length - 1))).sort((a, b) => a - b);
  return [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length)).filter((slice) => slice.length > 0);
}
