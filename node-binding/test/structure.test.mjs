// Rooms and their doors: which folder of lib/ may import which, and that no files import each other in a circle, be it
// for a type alone. As `engine/tests/structure.rs` is for Rust.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ts = createRequire(import.meta.url)('typescript-5.0');
const LIB = fileURLToPath(new URL('../lib/', import.meta.url));

/** Folders, and files at the top, each with those that it may import: such as stand above it. What is not named in a list is not imported. */
const MAY_IMPORT = {
  facts: [],
  errors: [],
  trace: [],
  options: ['facts', 'errors'],
  process: ['options'],
  native: ['facts', 'options', 'process'],
  supervision: ['errors', 'options', 'native'],
  utilities: ['facts', 'errors', 'options', 'process', 'native'],
  proxy: ['facts', 'errors', 'options', 'process', 'native'],
  electron: ['errors', 'options', 'native', 'proxy'],
  values: ['options'],
  streams: ['errors', 'values'],
  files: ['errors'],
  calls: ['trace', 'options', 'native', 'values', 'streams', 'files'],
  stats: ['options'],
  forms: ['errors', 'options', 'values', 'streams', 'files', 'calls'],
  bridge: ['facts', 'errors', 'trace', 'options', 'process', 'native', 'values', 'streams', 'calls', 'stats', 'forms'],
  'in-process': ['process', 'bridge'],
  client: ['facts', 'errors', 'trace', 'options', 'process', 'values', 'stats'],
  opentelemetry: ['errors', 'trace', 'options'],
  browser: ['facts', 'errors', 'options', 'process', 'values', 'client'],
  workers: ['errors', 'options', 'values', 'calls', 'stats', 'bridge'],
  tunnel: ['errors', 'options', 'process', 'values', 'calls', 'stats', 'bridge', 'workers', 'supervision'],
  runner: ['facts', 'errors', 'options', 'process', 'native', 'values', 'streams', 'files', 'calls', 'stats', 'bridge', 'workers', 'in-process', 'client', 'supervision'],
  cli: ['facts', 'errors', 'options', 'process', 'native', 'stats', 'tunnel'],
  index: ['errors', 'trace', 'options', 'native', 'files', 'stats', 'tunnel'],
};

/** Constants of the engine: anybody may know them. */
const GROUND = 'facts/facts.generated';

/** The files that a file's text imports, for values or for types, at once or later; all without their ending. */
function importsOf(file, text) {
  const names = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
  return names.filter((name) => name.startsWith('.')).map((name) => join(dirname(file), name.replace(/\.js$/, '')));
}

/** All files, by their paths without the ending, and what each imports. */
function sources() {
  const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return new Map(files.map((file) => [file.replace(/\.ts$/, ''), importsOf(file, readFileSync(join(LIB, file), 'utf8'))]));
}

function roomOf(file) {
  return file.split('/')[0];
}

/** What is left when, again and again, files are taken away that import nothing (any more), or that nothing imports: circles, and what lies between two. */
function circlesIn(arrows) {
  const left = new Map([...arrows].map(([file, imports]) => [file, new Set(imports)]));
  for (;;) {
    const imported = new Set([...left.values()].flatMap((imports) => [...imports]));
    const free = [...left].filter(([file, imports]) => imports.size === 0 || !imported.has(file)).map(([file]) => file);
    if (free.length === 0) return [...left].map(([file, imports]) => `${file} imports ${[...imports].sort().join(', ')}`).sort();
    for (const file of free) left.delete(file);
    for (const imports of left.values()) for (const file of free) imports.delete(file);
  }
}

describe('lib', () => {
  const arrows = sources();

  it('has a row for each folder and each file at the top, which names only rows above it', () => {
    assert.deepEqual(Object.keys(MAY_IMPORT).sort(), [...new Set([...arrows.keys()].map(roomOf))].sort());
    const above = new Set();
    for (const [room, others] of Object.entries(MAY_IMPORT)) {
      assert.deepEqual(others.filter((other) => !above.has(other)), [], room);
      above.add(room);
    }
  });

  it('has folders that import only what lies below them', () => {
    const found = [...arrows].flatMap(([file, imports]) => {
      const room = roomOf(file);
      return imports.filter((other) => other !== GROUND && roomOf(other) !== room && !MAY_IMPORT[room].includes(roomOf(other))).map((other) => `${file} imports ${other}`);
    });
    assert.deepEqual(found, []);
  });

  it('has no files that import each other in a circle', () => {
    const elsewhere = [...arrows].flatMap(([file, imports]) => imports.filter((other) => !arrows.has(other)).map((other) => `${file} imports ${other}`));
    assert.deepEqual(elsewhere, [], 'the search has understood every path');
    assert.deepEqual(circlesIn(arrows), []);
  });
});

describe('the search', () => {
  it('sees imports of every kind, and none in comments and strings', () => {
    const text = `
      // import './comment.js';
      import type { A } from './type.js';
      import { type B } from './value.js';
      import './effect.js';
      export type { C } from '../up/export.js';
      export * from './all.js';
      type D = import('./named.js').D;
      const later = () => require('./required.js') as typeof import('./typeof.js');
      const text = "import './text.js'";
      import { join } from 'node:path';
      await import('./dynamic.js');`;
    const names = ['type', 'value', 'effect', '../up/export', 'all', 'named', 'required', 'typeof', 'dynamic'];
    assert.deepEqual(importsOf('room/file.ts', text).sort(), names.map((name) => join('room', name)).sort());
  });

  it('finds a circle, and leaves out what is above and below it', () => {
    const arrows = new Map([['above', ['a']], ['a', ['b', 'below']], ['b', ['c']], ['c', ['a']], ['below', []]]);
    assert.deepEqual(circlesIn(arrows), ['a imports b', 'b imports c', 'c imports a']);
  });
});
