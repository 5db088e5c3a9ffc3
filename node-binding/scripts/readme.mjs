// The README for the registry, which shows it without the rest of the repository: relative links lead to GitHub.
// readme.mjs [file].
import { readFileSync, writeFileSync } from 'node:fs';

const at = (path) => new URL(path, import.meta.url);
const repository = JSON.parse(readFileSync(at('../package.json'), 'utf8')).repository.url.replace(/^git\+|\.git$/g, '');

const readme = readFileSync(at('../../README.md'), 'utf8');
// HEAD is the default branch, whatever its name. An image wants the file itself.
const linked = readme.replace(/(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)/g, (_link, image, text, path) => `${image}[${text}](${repository}/${image === '' ? 'blob' : 'raw'}/HEAD/${path})`);
writeFileSync(process.argv[2] ?? at('../README.md'), linked);
