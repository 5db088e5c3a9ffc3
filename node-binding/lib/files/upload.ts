import type { FilePart } from './file-part.js';
import { UNNAMED_FILE } from './input-file.js';
import type { InputFile, InputFileFactory, InputFileMeta } from './input-file.js';

type Meta = Partial<Record<keyof InputFileMeta, unknown>>;

const KEYS = ['name', 'type', 'size', 'lastModified', 'extra'] as const satisfies readonly (keyof InputFileMeta)[];

/** A file of a form: what the manifest and its part say of it, in whatever order, and its bytes. */
export class Upload {
  readonly part: FilePart;
  readonly file: InputFile;
  readonly #opened: () => boolean;
  /** The manifest says what it is called. */
  #named = false;
  /** The manifest names it. */
  expected = false;
  /** Its part of the form has begun. */
  arrived = false;

  constructor(part: FilePart, factory: InputFileFactory) {
    this.part = part;
    const { file, opened } = factory(UNNAMED_FILE, part.stream);
    this.file = file;
    this.#opened = opened;
  }

  /** Its stream was asked for. */
  get opened(): boolean {
    return this.part.read || this.#opened();
  }

  /** What a sentinel says goes over everything that was said before. */
  describeByManifest(meta: Meta): void {
    const file = this.file as Meta;
    for (const key of KEYS) if (meta[key] !== undefined) file[key] = meta[key];
    this.#named ||= meta.name !== undefined;
  }

  /** What the part's head says fills the gaps. */
  describeByPart({ name, type }: { readonly name: string | undefined; readonly type: string }): void {
    const { file } = this;
    if (name !== undefined && !this.#named && file.name === UNNAMED_FILE) file.name = name;
    if (file.type === undefined) file.type = type;
  }
}
