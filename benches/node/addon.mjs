// The addon with the benches in it, and the package that runs on it: `make bench-addon` has built both.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { smoke } from './measure.mjs';

const profile = process.env.PROFILE ?? (smoke ? 'quick' : 'release');
const file = fileURLToPath(new URL(`../../target/${profile}/fasttunnel_node_benches.node`, import.meta.url));
const require = createRequire(import.meta.url);

process.env.FASTTUNNEL_NATIVE_PATH = file;
/** The package's modules, by name. */
export const lib = (name) => require(`../../node-binding/dist/cjs/${name}.js`);
export const native = lib('native/addon').addon();
