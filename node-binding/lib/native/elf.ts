// What an ELF file says of itself, see elf(5): whom it was built for, how long it is, what it needs.
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';

/** Bytes from an offset on; fewer at the end of the file. */
type Read = (offset: number, length: number) => Buffer;

interface Segment {
  type: number;
  offset: number;
  address: number;
  bytes: number;
}

/** 0x7f, ELF. */
const MAGIC = 0x7f454c46;
/** Of the header of a file of 64 bits; what one of 32 bits says first stands in the same places. */
const HEADER_BYTES = 64;
/** With what follows the header in every file that a linker made: the segments. */
const FIRST_BYTES = 1024;
const SEGMENT_BYTES = 56;
const DYNAMIC_BYTES = 16;
/** No table of a file that a linker made is longer; a name neither. */
const MAX_TABLE_BYTES = 65536;
const MAX_NAME_BYTES = 256;

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

/** `e_machine`, with Node's names. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'ia32', 20: 'ppc', 21: 'ppc64', 22: 's390x', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64', 258: 'loong64',
};
/** Those whose files have 32 bits; `x64` has an ABI with such files, which no Node is built for. */
const OF_32_BITS: readonly string[] = ['ia32', 'ppc', 'arm'];

export class Elf {
  readonly #read: Read;
  /** The header, and what follows. */
  readonly #header: Buffer;
  readonly #segments: readonly Segment[];

  private constructor(read: Read, header: Buffer) {
    this.#read = read;
    this.#header = header;
    this.#segments = this.#isReadable ? this.#readSegments() : [];
  }

  /** `undefined` when the file is none. */
  static read(read: Read): Elf | undefined {
    const header = read(0, FIRST_BYTES);
    return header.length >= HEADER_BYTES && header.readUInt32BE(0) === MAGIC ? new Elf(read, header) : undefined;
  }

  /** Whether it is for this processor; so it is said to be where we do not know its number. */
  get isForUs(): boolean {
    return this.arch === process.arch || !Object.values(MACHINES).includes(process.arch);
  }

  /** The processor that it is for, as `process.arch` has it. */
  get arch(): string {
    const machine = this.#bigEndian ? this.#header.readUInt16BE(18) : this.#header.readUInt16LE(18);
    const name = MACHINES[machine] ?? `machine ${machine}`;
    return this.#bits === (OF_32_BITS.includes(name) ? 32 : 64) ? name : `${name} with ${this.#bits} bits`;
  }

  /** Bytes that the file must have: all of what is to be mapped, and its tables, the last of which ends a file. */
  get leastBytes(): number {
    if (!this.#isReadable) return HEADER_BYTES;
    const { offset, bytes } = this.#segmentTable;
    const sections = this.#long(this.#header, 40) + this.#header.readUInt16LE(58) * this.#header.readUInt16LE(60);
    const ends = this.#segments.filter(({ type }) => type === PT_LOAD).map((segment) => segment.offset + segment.bytes);
    return Math.max(offset + bytes, sections, ...ends);
  }

  /** The libraries that have to be loaded with it. */
  get needed(): string[] {
    const dynamic = this.#segments.find(({ type }) => type === PT_DYNAMIC);
    if (dynamic === undefined) return [];
    const table = this.#read(dynamic.offset, Math.min(dynamic.bytes, MAX_TABLE_BYTES));
    const names: number[] = [];
    let texts: number | undefined;
    for (let at = 0; at + DYNAMIC_BYTES <= table.length; at += DYNAMIC_BYTES) {
      const tag = this.#long(table, at);
      const value = this.#long(table, at + 8);
      if (tag === DT_NULL) break;
      if (tag === DT_NEEDED) names.push(value);
      if (tag === DT_STRTAB) texts = this.#offsetOf(value);
    }
    return texts === undefined ? [] : names.map((name) => this.#textAt(texts + name, MAX_NAME_BYTES));
  }

  /** The program that loads it, of a program. */
  get interpreter(): string | undefined {
    const segment = this.#segments.find(({ type }) => type === PT_INTERP);
    return segment === undefined ? undefined : this.#textAt(segment.offset, Math.min(segment.bytes, MAX_TABLE_BYTES));
  }

  get #bits(): 32 | 64 {
    return this.#header[4] === 1 ? 32 : 64;
  }

  get #bigEndian(): boolean {
    return this.#header[5] === 2;
  }

  /** Beyond the first bytes we know one form: that of every processor for which Node has two libcs. */
  get #isReadable(): boolean {
    return this.#bits === 64 && !this.#bigEndian;
  }

  get #segmentTable(): { offset: number; bytes: number } {
    return { offset: this.#long(this.#header, 32), bytes: this.#header.readUInt16LE(56) * SEGMENT_BYTES };
  }

  #readSegments(): Segment[] {
    const { offset, bytes } = this.#segmentTable;
    const end = offset + bytes;
    const table = end <= this.#header.length ? this.#header.subarray(offset, end) : this.#read(offset, Math.min(bytes, MAX_TABLE_BYTES));
    const segments: Segment[] = [];
    for (let at = 0; at + SEGMENT_BYTES <= table.length; at += SEGMENT_BYTES) {
      segments.push({ type: table.readUInt32LE(at), offset: this.#long(table, at + 8), address: this.#long(table, at + 16), bytes: this.#long(table, at + 32) });
    }
    return segments;
  }

  /** Where in the file stands what will be at this address. */
  #offsetOf(address: number): number | undefined {
    const segment = this.#segments.find(({ type, address: from, bytes }) => type === PT_LOAD && from <= address && address < from + bytes);
    return segment && address - segment.address + segment.offset;
  }

  #textAt(offset: number, most: number): string {
    return this.#read(offset, most).toString('latin1').split('\0', 1)[0]!;
  }

  /** More than 2^53 is wrong in any case, and as wrong when it was rounded. */
  #long(bytes: Buffer, at: number): number {
    return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  }
}

/** Looks into a file, or at nothing when it is no ELF file; `undefined` when it may not be read. */
export function withElf<Seen>(file: string, look: (elf: Elf | undefined, stats: Stats) => Seen): Seen | undefined {
  try {
    const stats = statSync(file);
    if (!stats.isFile()) return look(undefined, stats);
    // Had it become a pipe by now, it would never open otherwise.
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const read: Read = (offset, length) => {
        const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, stats.size - offset)));
        return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, offset));
      };
      return look(Elf.read(read), stats);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}

export type Libc = 'glibc' | 'musl';

/** The libc that a library was built for, by what it needs. */
export function wantedLibc({ needed }: Elf): Libc | undefined {
  if (needed.some((name) => name === 'libc.so' || name.startsWith('libc.musl-'))) return 'musl';
  return needed.includes('libc.so.6') ? 'glibc' : undefined;
}

/** Whether a file is what we build: complete, for this processor and glibc. What is not may be right all the same. */
export function isOrdinary(file: string): boolean {
  return withElf(file, (elf, { size }) => elf !== undefined && elf.isForUs && size >= elf.leastBytes && wantedLibc(elf) === 'glibc') ?? false;
}
