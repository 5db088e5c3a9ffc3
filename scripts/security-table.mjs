// Checks that every file and every test that SECURITY.md names exists: `path` or `path:words of the test's name`.
import { existsSync, readFileSync } from 'node:fs';

const NAMED = /`((?:engine|node-binding|loadtest|fuzz|scripts)\/[^`:]+|deny\.toml)(?::([^`]+))?`/g;

/** A Rust test is a function, a JS test a title, written in one piece or with a `${placeholder}` at either end. */
const holds = (file, text, name) => (file.endsWith('.rs') ? new RegExp(`\\bfn ${name}\\b`).test(text) : text.includes(name));

let [checked, missing] = [0, 0];
for (const [row, line] of readFileSync('SECURITY.md', 'utf8').split('\n').entries()) {
  if (!line.startsWith('|') || /^\|[-|]*$/.test(line)) continue;
  const named = [...line.matchAll(NAMED)];
  const threat = /^\| [A-Z]?\d*|^\| \|/.test(line) && line.split('|').length === 6 && !line.startsWith('| | threat');
  if (threat && named.length === 0 && !line.includes('**Open**')) {
    console.error(`SECURITY.md:${row + 1}: neither a test nor **Open**`);
    missing += 1;
  }
  for (const [, file, name] of named) {
    checked += 1;
    if (existsSync(file) && (!name || holds(file, readFileSync(file, 'utf8'), name))) continue;
    console.error(`SECURITY.md:${row + 1}: there is no ${file}${name ? ` with ${name}` : ''}`);
    missing += 1;
  }
}
if (checked < 50) {
  console.error(`SECURITY.md: only ${checked} tests found, is the table gone?`);
  missing += 1;
}
if (missing > 0) process.exit(1);
