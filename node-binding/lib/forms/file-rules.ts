import { tmpdir } from 'node:os';
import type { EngineOptions } from '../options/engine-options.js';
import { MULTIPART_DEFAULTS } from '../options/multipart.js';

/** What the options say of files. */
export interface FileRules {
  /** As the reference has it: a task does not wait for the names of its files, and what is wrong with a form may be a 500. */
  readonly reference: boolean;
  /** Files of one form, those that the manifest names and those that come together; `Infinity` for no bound. */
  readonly files: number;
  /** `maxJsonDepth`, of the manifest. */
  readonly depth: number;
  /** Directory for what does not fit in memory. */
  readonly directory: string;
}

/** What of the engine's options is ours. */
export function fileRules({ limits, tempDir, reference = false }: EngineOptions): FileRules {
  return { reference, files: (limits.multipart ?? MULTIPART_DEFAULTS).files, depth: limits.maxJsonDepth, directory: tempDir ?? tmpdir() };
}
