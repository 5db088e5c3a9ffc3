import type { Call } from '../calls/call.js';
import type { Entry } from '../calls/entry.js';
import type { CallFailure } from '../calls/outcome.js';
import { FileLostError, FileRefusedError } from '../errors/errors.js';
import { FilePart } from '../files/file-part.js';
import type { PartPort } from '../files/file-part.js';
import { plainInputFile } from '../files/input-file.js';
import { Upload } from '../files/upload.js';
import { Ballast } from '../streams/ballast.js';
import type { ValueCodec } from '../values/codec.js';
import { isThenable } from '../values/thenable.js';
import type { FileRules } from './file-rules.js';
import { discard, instead, isOwn, isStream, withStream } from './form-outcome.js';
import type { FormOutcome } from './form-outcome.js';
import { hydrate, readManifest } from './manifest.js';
import type { FileSentinel } from './manifest.js';
import { CLIENT_GONE, INVALID_MANIFEST, messageOf, missingFilePart, MISSING_MANIFEST, refusalOf, TOO_MANY_FILES } from './refusals.js';

/** Where the form comes from. */
export interface MultipartPort {
  /** So many bytes are used up: as many more may come. */
  credit(bytes: number): void;
}

/** `file:<id>` */
const FILE_PREFIX = 'file:';

/**
 * A call whose body is a multipart form (CONTRACT 13). Its task starts when the manifest is there, while files are still
 * coming, and its answer is held back until all of the form has come: what is wrong with the form goes before it.
 *
 * The form must come to its end whatever the task does with its files (CONTRACT 23 D1 to D3). A file holds back the
 * others only as long as it is being read, the task has not settled, and nobody waits for a file behind it; otherwise
 * what is not read waits in memory and on disk.
 */
export class MultipartCall implements PartPort {
  readonly #call: Call;
  readonly #entry: Entry;
  readonly #codec: ValueCodec;
  readonly #rules: FileRules;
  readonly #port: MultipartPort;
  readonly #run: (input: unknown) => unknown;
  readonly #settle: (outcome: FormOutcome) => void;
  /** By id: files that the manifest names, and, before it is known, those that have come. */
  readonly #uploads = new Map<string, Upload>();
  /** Files that were not named: they count, too. */
  readonly #strangers = new Set<string>();
  /** The file that is coming, if anybody may want it. */
  #current: FilePart | undefined;
  /** Readers that wait for bytes. */
  readonly #starving = new Set<FilePart>();
  /** Files that hold back the body. */
  readonly #holding = new Set<FilePart>();
  #letting = false;
  readonly #ballast = new Ballast();
  /** The manifest is read: the task has been called, or is {@link #heldBack}. */
  #started = false;
  /** Calls the task, which waits for the next file to begin: the manifest does not say what its files are called. */
  #heldBack: (() => void) | undefined;
  /** It may still be at work, and read files at its own pace. */
  #busy = false;
  /** All of the form has come, or nothing more of it does. */
  #ended = false;
  /** How the task has settled. */
  #outcome: FormOutcome | undefined;
  /** What goes before that. */
  #failure: CallFailure | undefined;
  /** Files that could not be kept. */
  readonly #lost = new Map<FilePart, Error>();
  #settled = false;

  constructor(call: Call, entry: Entry, codec: ValueCodec, rules: FileRules, port: MultipartPort, run: (input: unknown) => unknown, settle: (outcome: FormOutcome) => void) {
    this.#call = call;
    this.#entry = entry;
    this.#codec = codec;
    this.#rules = rules;
    this.#port = port;
    this.#run = run;
    this.#settle = settle;
    call.holdNotes();
  }

  /** The `__manifest` field, whole: the task can start. */
  manifest(bytes: Buffer): void {
    this.credit(bytes.length);
    if (this.#started || this.#ended) return;
    let input: unknown;
    try {
      const manifest = readManifest(bytes, this.#codec, this.#rules.depth);
      if (manifest === 'missing') return this.#fail(MISSING_MANIFEST);
      input = hydrate(manifest.input, (sentinel) => this.#named(sentinel).file);
    } catch (error) {
      return this.#fail(error === TOO_MANY_FILES ? TOO_MANY_FILES : INVALID_MANIFEST);
    }
    this.#started = this.#busy = true;
    for (const [id, { part, expected }] of this.#uploads) {
      if (expected) continue;
      this.#uploads.delete(id);
      this.#addStranger(id);
      part.fail(new FileLostError(id));
    }
    this.#heldBack = () => this.#start(input);
    if (this.#rules.reference || !this.#lacksNames()) this.#letStart();
  }

  /** A file begins: JSON of `{ name, filename?, type }`. */
  file(head: Buffer): void {
    this.#current = undefined;
    if (this.#ended) return;
    this.#letStart();
    const { name, filename, type } = JSON.parse(head.toString('utf8')) as { name: string; filename?: string; type: string };
    const id = name.slice(FILE_PREFIX.length);
    const known = this.#uploads.get(id);
    if (known === undefined && this.#started) {
      this.#addStranger(id);
      if (this.#tooMany()) this.#fail(TOO_MANY_FILES);
      return;
    }
    // A second one of that name is nobody's.
    if (known?.arrived === true) return;
    const upload = known ?? this.#add(id);
    if (this.#tooMany()) return this.#fail(TOO_MANY_FILES);
    upload.arrive({ name: filename, type });
    this.#current = upload.part;
  }

  /** Bytes of the file that has begun. */
  data(bytes: Buffer): void {
    this.#ballast.add(bytes.length);
    const part = this.#current;
    if (part === undefined) return this.credit(bytes.length);
    part.receive(bytes);
    if (part.owed === 0) return;
    this.#holding.add(part);
    if (!this.#mayHold(part)) this.#letGoSoon();
  }

  fileEnd(): void {
    this.#current?.finish();
    this.#current = undefined;
  }

  /** All of the form has come. */
  end(): void {
    if (this.#ended) return;
    if (!this.#started) return this.#fail(MISSING_MANIFEST);
    for (const [id, { expected, arrived }] of this.#uploads) if (expected && !arrived) return this.#fail(missingFilePart(id, this.#rules.reference));
    this.#ended = true;
    if (this.#outcome !== undefined) this.#conclude();
  }

  /** The engine refuses the form; nothing more of it comes. */
  refused(reason: number): void {
    if (!this.#ended) this.#fail(refusalOf(reason, this.#rules.reference));
  }

  /** With an error: the client has gone. Without: the call is answered, though the form may not have come to its end. */
  abandon(error?: Error): void {
    if (error === undefined) {
      this.#ended = true;
      this.#heldBack = undefined;
      const own = this.#outcome !== undefined && isOwn(this.#outcome);
      for (const [id, { part, opened }] of this.#uploads) {
        if (!part.complete) part.fail(new FileRefusedError('its call was answered before all of it had come'));
        else if (opened || own) part.expire(new FileLostError(id));
        else part.fail(new FileLostError(id));
      }
      return;
    }
    this.#ended = true;
    this.#failure = CLIENT_GONE;
    this.#failFiles(error);
    // A task that has not settled is waited for: nobody else does.
    if (!this.#called || this.#outcome !== undefined) this.#conclude();
  }

  credit(bytes: number): void {
    if (!this.#ended) this.#port.credit(bytes);
  }

  starving(part: FilePart, starving: boolean): void {
    if (!starving) {
      this.#starving.delete(part);
      return;
    }
    this.#starving.add(part);
    this.#letGo();
  }

  failed(part: FilePart, error: Error): void {
    this.#lost.set(part, error);
  }

  #named({ id, meta }: FileSentinel): Upload {
    const upload = this.#uploads.get(id) ?? this.#add(id);
    if (this.#tooMany()) throw TOO_MANY_FILES;
    upload.expected = true;
    if (meta) upload.describeByManifest(meta);
    return upload;
  }

  #add(id: string): Upload {
    const part = new FilePart(this, this.#rules.directory, id);
    const upload = new Upload(part, this.#entry.inputFile ?? plainInputFile);
    this.#uploads.set(id, upload);
    return upload;
  }

  #addStranger(id: string): void {
    if (this.#rules.files !== Infinity) this.#strangers.add(id);
  }

  #tooMany(): boolean {
    return this.#uploads.size + this.#strangers.size > this.#rules.files;
  }

  /** The manifest leaves it to the part of a file what that is called. */
  #lacksNames(): boolean {
    for (const { arrived, named } of this.#uploads.values()) if (!arrived && !named) return true;
    return false;
  }

  /** The task has been called, or is about to be. */
  get #called(): boolean {
    return this.#started && this.#heldBack === undefined;
  }

  #letStart(): void {
    const start = this.#heldBack;
    this.#heldBack = undefined;
    // What has come together with the manifest is looked at first: the task should know what its files are called.
    if (start !== undefined) queueMicrotask(start);
  }

  #start(input: unknown): void {
    try {
      const result = this.#run(input);
      if (!isThenable(result)) return this.#taskSettled({ result });
      // A thenable of the application's own may settle twice, or with another thenable.
      Promise.resolve(result).then(
        (settled) => this.#taskSettled({ result: settled }),
        (error: unknown) => this.#taskSettled({ error }),
      );
    } catch (error) {
      this.#taskSettled({ error });
    }
  }

  #taskSettled(settled: FormOutcome): void {
    const outcome = this.#entry.streams === true && 'result' in settled ? withStream(settled.result) : settled;
    this.#outcome = outcome;
    if (this.#settled) return discard(outcome);
    const own = isOwn(outcome);
    // What the task writes by itself goes out while it is written, and while the form is still coming.
    if (own && isStream(outcome)) return this.#conclude();
    this.#busy = false;
    // A stream that goes back may come from a file, or from one that it has yet to open; a task that has answered by
    // itself need not be done.
    if (!own && !isStream(outcome)) this.#dropUnopened();
    this.#letGo();
    if (this.#ended) this.#conclude();
  }

  /** Something is wrong with the form; readers of its files are told, and then the caller. */
  #fail(failure: CallFailure): void {
    this.#ended = true;
    this.#failure = failure;
    this.#failFiles(new FileRefusedError(messageOf(failure)));
    if (!this.#called || this.#outcome !== undefined) this.#conclude();
    // The task sees it first, and may have an answer of its own; whether it is quick about it or not.
    else setImmediate(() => this.#conclude());
  }

  /** Answers, once. */
  #conclude(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#heldBack = undefined;
    const outcome = this.#outcome;
    const failure = this.#failure;
    this.#call.releaseNotes(failure === undefined);
    if (outcome === undefined || (failure !== undefined && !isOwn(outcome))) {
      if (outcome !== undefined) discard(outcome);
      return this.#settle(failure === undefined || outcome === undefined ? { error: failure } : instead(outcome, failure));
    }
    const lost = 'result' in outcome && !isOwn(outcome) ? this.#lostError() : undefined;
    if (lost !== undefined) discard(outcome);
    this.#settle(lost === undefined ? outcome : { error: lost });
  }

  /** Why a file that the task wanted could not be kept. */
  #lostError(): Error | undefined {
    for (const { part, opened } of this.#uploads.values()) if (opened && this.#lost.has(part)) return this.#lost.get(part);
    return undefined;
  }

  /** May this file hold back the body until its reader has taken what there is? */
  #mayHold(part: FilePart): boolean {
    return this.#busy && part.read && (this.#starving.size === 0 || (this.#starving.size === 1 && this.#starving.has(part)));
  }

  /** A turn later: the task may be about to read what has come together with the manifest. */
  #letGoSoon(): void {
    if (this.#letting) return;
    this.#letting = true;
    setImmediate(() => {
      this.#letting = false;
      this.#letGo();
    });
  }

  /** What may not hold back the body any longer does not. */
  #letGo(): void {
    for (const part of this.#holding) {
      if (part.owed > 0 && this.#mayHold(part)) continue;
      part.spill();
      this.#holding.delete(part);
    }
  }

  /** Nobody has asked for these, and nobody is to. */
  #dropUnopened(): void {
    for (const [id, { part, opened }] of this.#uploads) if (!opened) part.fail(new FileLostError(id));
  }

  #failFiles(error: Error): void {
    for (const { part } of this.#uploads.values()) part.fail(error);
  }
}
