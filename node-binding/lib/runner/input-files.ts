import { plainInputFile } from '../files/input-file.js';
import type { InputFile, InputFileFactory } from '../files/input-file.js';
import type { Runner } from './runtime.js';

/** Files that are instances of Runner's own class, which apps may ask for by `instanceof`. */
export function inputFilesOf({ NodeInputFile }: Partial<Pick<Runner, 'NodeInputFile'>>): InputFileFactory {
  if (typeof NodeInputFile !== 'function') return plainInputFile;
  return (name, stream) => {
    const file = new NodeInputFile({ name }, stream) as InputFile;
    return { file, opened: () => (file as { _consumed?: unknown })._consumed === true };
  };
}
