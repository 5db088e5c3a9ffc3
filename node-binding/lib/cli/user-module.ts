// A module of the user's: found, loaded, and loaded again.
import { spawnSync } from 'node:child_process';
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { closest } from '../options/checks.js';
import { runtimeName } from '../process/runtime.js';
import { CommandError } from './command.js';
import { exposedOf } from './exports.js';
import type { Exposed } from './exports.js';
import { MARK, markImports } from './fresh-imports.js';

/** Endings that may be left out, beside those that `require` knows. */
const ENDINGS = ['.mjs', '.cjs', '.ts', '.mts', '.cts'];
const INSTALLED = '/node_modules/';
/** The JavaScript of this package. */
const OURS = join(__dirname, '..', '/');

export class UserModule {
  readonly file: string;
  /** Files that were loaded with it, but for installed packages. */
  readonly files = new Set<string>();
  #loads = 0;

  /** Throws a CommandError when there is no such module. */
  constructor(name: string) {
    this.file = find(name);
    this.files.add(this.file);
  }

  /** From now on its imports are looked at anew with each load. */
  watch(): void {
    markImports((url) => this.#loaded(fileURLToPath(url)));
  }

  /** What it exposes now. Rejects with a CommandError. */
  async load(): Promise<Exposed> {
    this.#forgetRequired();
    this.#loads += 1;
    const url = pathToFileURL(this.file);
    // An ES module is loaded once for each URL.
    if (this.#loads > 1) url.searchParams.set(MARK, String(this.#loads));
    try {
      return exposedOf((await import(url.href)) as Record<string, unknown>, this.file);
    } catch (error) {
      throw error instanceof CommandError ? error : this.#failure(error);
    } finally {
      for (const file of Object.keys(require.cache)) if (this.#isUsers(file)) this.#loaded(file);
    }
  }

  #loaded(file: string): void {
    if (this.#isUsers(file)) this.files.add(file);
  }

  /** Not an installed package, and not this one, wherever it lies. */
  #isUsers(file: string): boolean {
    return !file.includes(INSTALLED) && !file.startsWith(OURS);
  }

  /** CommonJS is loaded once for each file. */
  #forgetRequired(): void {
    for (const file of Object.keys(require.cache)) if (this.#isUsers(file)) delete require.cache[file];
  }

  #failure(error: unknown): CommandError {
    const code = (error as { code?: unknown } | undefined)?.code;
    const fix = code === 'ERR_UNKNOWN_FILE_EXTENSION' ? `\n${runtimeName} does not run ${extname(this.file)} files: use Node 22.18 or newer for TypeScript, or serve what it is compiled to.` : '';
    return new CommandError(`${this.file} cannot be loaded:\n${this.#placeOf(error) ?? stackOf(error)}${fix}`, undefined, { cause: error });
  }

  /** Where a syntax error is: of ES modules, Node says that to a terminal alone. */
  #placeOf(error: unknown): string | undefined {
    if (!(error instanceof SyntaxError) || /^(?:file:\/\/)?\/.*:\d+$/m.test(error.stack ?? '')) return undefined;
    for (const file of this.files) {
      const { status, stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5000 });
      if (status === 1 && stderr.includes(file)) return withoutNode(stderr.trim()).replace(/\n+Node\.js v\S+$/, '');
    }
    return undefined;
  }
}

function stackOf(error: unknown): string {
  return withoutNode(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** A stack without the lines of those who load the module: Node and this package. */
function withoutNode(stack: string): string {
  return stack.split('\n').filter((line) => !/^ +at /.test(line) || !(line.includes('node:internal') || line.includes(OURS))).join('\n');
}

/** The file that a name means: a path, with or without its ending, or a package. */
function find(name: string): string {
  const path = resolve(name);
  const file = [path, ...ENDINGS.map((ending) => `${path}${ending}`)].find((one) => statSync(one, { throwIfNoEntry: false })?.isFile() === true);
  if (file !== undefined) return realpathSync(file);
  const requireHere = createRequire(join(process.cwd(), 'x.js'));
  for (const one of [path, name]) {
    try {
      const found = requireHere.resolve(one);
      // A module of Node's own has no path.
      if (found.startsWith('/')) return found;
    } catch {
      // Neither a folder with an entry, nor a package.
    }
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new CommandError(`${path} is a directory that is no module: name a file in it, or give it an index.js.`);
  }
  throw new CommandError(`there is no module ${name}: ${path} does not exist.${suggestion(path)}`);
}

function suggestion(path: string): string {
  try {
    const near = closest(basename(path), readdirSync(dirname(path)));
    return near === undefined ? '' : ` Did you mean ${join(dirname(path), near)}?`;
  } catch {
    return '';
  }
}
