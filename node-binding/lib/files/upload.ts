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
  #named = false;
  #arrived = false;
  /** Tells whoever waits for its part. */
  #tell: (() => void) | undefined;
  #waited: Promise<void> | undefined;
  /** The manifest names it. */
  expected = false;

  constructor(part: FilePart, factory: InputFileFactory) {
    this.part = part;
    const { file, opened } = factory(UNNAMED_FILE, part.stream, () => this.#wait());
    this.file = file;
    this.#opened = opened;
  }

  /** Its part of the form has begun. */
  get arrived(): boolean {
    return this.#arrived;
  }

  /** The manifest says what it is called. */
  get named(): boolean {
    return this.#named;
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

  /** Its part has begun; what its head says fills the gaps. */
  arrive({ name, type }: { readonly name: string | undefined; readonly type: string }): void {
    const { file } = this;
    this.#arrived = true;
    if (name !== undefined && !this.#named && file.name === UNNAMED_FILE) file.name = name;
    if (file.type === undefined) file.type = type;
    this.#tell?.();
  }

  /** Until its part has begun, or will not come. */
  #wait(): Promise<void> {
    const { stream } = this.part;
    if (this.#arrived || stream.destroyed) return Promise.resolve();
    // Files before it do not hold back the body for their own readers meanwhile.
    stream.read(0);
    return (this.#waited ??= new Promise((resolve) => {
      this.#tell = resolve;
      stream.once('close', resolve);
    }));
  }
}
