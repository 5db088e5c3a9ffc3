// Which options are numbers, read from the types that are published: a new one cannot be forgotten here.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const ts = require('typescript-5.0');
const { LIMITS, MULTIPART, NUMBERS } = require('../../dist/cjs/facts/facts.generated.js');
const ELSEWHERE = { client: require('../../dist/cjs/client/settings.js').NUMBERS, proxy: require('../../dist/cjs/proxy/options.js').NUMBERS };

const declarations = (name) => fileURLToPath(new URL(`../../dist/cjs/${name}.d.ts`, import.meta.url));

/** The declarations of all, read together, since reading takes most of the time. */
const FILES = Object.fromEntries(['options/types', 'runner/config', 'client/types', 'proxy/types'].map((name) => [name, declarations(name)]));
const program = ts.createProgram(Object.values(FILES), { module: ts.ModuleKind.NodeNext, strict: true, types: ['node'] });

/** Paths of the numbers in an exported type, such as `limits.maxBodyBytes`. */
function numbersIn(file, name) {
  const checker = program.getTypeChecker();
  const [symbol] = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(FILES[file]))).filter((one) => one.name === name);
  const found = [];
  const walk = (type, path) => {
    for (const property of checker.getPropertiesOfType(type)) {
      const given = checker.getNonNullableType(checker.getTypeOfSymbol(property));
      const here = [...path, property.name];
      if ((given.flags & ts.TypeFlags.NumberLike) !== 0) found.push(here.join('.'));
      // Groups of options; what else is an object (a server, a handler) is no group of ours.
      else if (property.declarations?.every((one) => one.getSourceFile().fileName.includes('/dist/cjs/')) && isGroup(given)) walk(given, here);
    }
  };
  const isGroup = (type) => type.isClassOrInterface() || (type.flags & ts.TypeFlags.Object) !== 0 && type.getCallSignatures().length === 0 && checker.getIndexInfosOfType(type).length === 0;
  walk(checker.getDeclaredTypeOfSymbol(symbol), []);
  return found;
}

/** What a number may be, by its path; undefined where no table has it. */
function boundsOf(path) {
  const [group, name] = path.split('.').slice(-2).concat(undefined);
  const own = name ?? group;
  if (group === 'multipart') return MULTIPART[own] ?? { least: 0, most: Infinity };
  if (group === 'json' && own === 'maxSize') return LIMITS.maxBodyBytes;
  return LIMITS[own] ?? NUMBERS[own];
}

const withBounds = (path) => ({ path, bounds: boundsOf(path) });

/** Of `fastTunnel()` and `TunnelServer`. */
export const STANDALONE = numbersIn('options/types', 'TunnelOptions').map(withBounds);
/** Of Runner's resource. */
export const RUNNER = numbersIn('runner/config', 'FastTunnelConfig').map(withBounds);

const withOwnBounds = (of) => (path) => ({ path, bounds: ELSEWHERE[of][path.split('.').at(-1)] });
/** Of `createClient()`; one of them may be a word as well. */
export const CLIENT = [...numbersIn('client/types', 'ClientOptions'), 'pipelining'].map(withOwnBounds('client'));
/** Of `ProxyServer.start()`. */
export const PROXY = numbersIn('proxy/types', 'ProxyOptions').map(withOwnBounds('proxy'));

/** `{ a: { b: value } }` for the path `a.b`, with `rest` beside. */
export function atPath(path, value, rest = {}) {
  const [first, ...deeper] = path.split('.');
  return { ...rest, [first]: deeper.length === 0 ? value : atPath(deeper.join('.'), value, rest[first]) };
}
