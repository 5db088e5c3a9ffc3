// Addons and programs that are not what this system can load, made of those that are: some bytes are other ones.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What the package loads. */
export const ADDON = fileURLToPath(new URL('../../native/fasttunnel.linux-x64-gnu.node', import.meta.url));

/** Offsets of `e_ident[EI_CLASS]`, `e_ident[EI_DATA]` and `e_machine`. */
const [CLASS, DATA, MACHINE] = [4, 5, 18];
const PT_LOAD = 1;
const SHT_DYNSYM = 11;
const SYMBOL_BYTES = 24;

/** A copy of a file, changed by `change`, which gets its bytes and may return others. */
export function copy(from, to, change = () => {}) {
  const bytes = readFileSync(from);
  writeFileSync(to, change(bytes) ?? bytes, { mode: 0o755 });
  return to;
}

/** For another processor. */
export const madeFor = (machine, { bits = 64, bigEndian = false } = {}) => (bytes) => {
  bytes[CLASS] = bits / 32;
  bytes[DATA] = bigEndian ? 2 : 1;
  if (bigEndian) bytes.writeUInt16BE(machine, MACHINE);
  else bytes.writeUInt16LE(machine, MACHINE);
};

/** With another text for every one that is as long or longer, and ends where it does. */
export const withText = (text, other) => (bytes) => {
  const [from, to] = [Buffer.from(`${text}\0`), Buffer.alloc(text.length + 1)];
  to.write(other);
  let at = bytes.indexOf(from);
  if (at < 0 || other.length > text.length) throw new Error(`no room for ${other}`);
  for (; at >= 0; at = bytes.indexOf(from, at)) to.copy(bytes, at);
};

/** Where the last segment that is mapped ends. */
export function mappedBytes(file) {
  const bytes = readFileSync(file);
  const from = Number(bytes.readBigUInt64LE(32));
  const ends = Array.from({ length: bytes.readUInt16LE(56) }, (_, n) => from + n * 56)
    .filter((at) => bytes.readUInt32LE(at) === PT_LOAD)
    .map((at) => Number(bytes.readBigUInt64LE(at + 8) + bytes.readBigUInt64LE(at + 32)));
  return Math.max(...ends);
}

/** Names that a library imports from whatever loads it: the undefined ones of its dynamic symbols. */
export function importsOf(file) {
  const bytes = readFileSync(file);
  const sections = Number(bytes.readBigUInt64LE(40));
  const section = (index) => {
    const at = sections + index * bytes.readUInt16LE(58);
    return { type: bytes.readUInt32LE(at + 4), offset: Number(bytes.readBigUInt64LE(at + 24)), bytes: Number(bytes.readBigUInt64LE(at + 32)), link: bytes.readUInt32LE(at + 40) };
  };
  const symbols = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => section(index)).find(({ type }) => type === SHT_DYNSYM);
  const texts = section(symbols.link).offset;
  return Array.from({ length: symbols.bytes / SYMBOL_BYTES }, (_, index) => symbols.offset + index * SYMBOL_BYTES)
    .filter((at) => bytes.readUInt16LE(at + 6) === 0)
    .map((at) => texts + bytes.readUInt32LE(at))
    .map((at) => bytes.toString('latin1', at, bytes.indexOf(0, at)));
}
