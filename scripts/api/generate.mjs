// Writes docs/api from the types of node-binding/lib, a page for each export of the package. `--check` only compares.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = dirname(fileURLToPath(import.meta.url));
const root = join(home, '..', '..');
const binding = join(root, 'node-binding');
const pages = join(root, 'docs', 'api');

/** The sources of the exports that have types, by the name of their page. */
function entries() {
  const { exports } = JSON.parse(readFileSync(join(binding, 'package.json'), 'utf8'));
  return Object.entries(exports).filter(([, target]) => target.import !== undefined).map(([path, target]) => {
    const source = target.import.default.replace(/^\.\/dist\/esm/, 'lib').replace(/\.mjs$/, '.ts');
    // TypeDoc calls a page by the folder that its entry is in.
    const module = path === '.' ? 'index' : basename(dirname(source));
    return { page: path === '.' ? 'fasttunnel.md' : `${basename(path)}.md`, name: path.replace(/^\./, 'fasttunnel'), module, source: join(binding, source) };
  });
}

const OPTIONS = [
  '--plugin', 'typedoc-plugin-markdown', '--readme', 'none', '--gitRemote', 'none', '--logLevel', 'Error',
  '--excludeExternals', '--excludeInternal', '--excludePrivate', '--excludeProtected', '--disableSources',
  '--hidePageHeader', '--hideBreadcrumbs', '--hideGroupHeadings', '--useHTMLAnchors', 'true',
  ...['parameters', 'interfaceProperties', 'classProperties', 'typeDeclaration', 'propertyMembers', 'enumMembers'].flatMap((what) => [`--${what}Format`, 'table']),
];

/** The texts of all pages, by name. */
function generate(all) {
  const out = mkdtempSync(join(tmpdir(), 'fasttunnel-api-'));
  try {
    const typedoc = join(home, 'node_modules', 'typedoc', 'bin', 'typedoc');
    const points = all.flatMap(({ source }) => ['--entryPoints', source]);
    execFileSync(process.execPath, [typedoc, '--tsconfig', join(binding, 'tsconfig.json'), ...points, '--out', out, '--outputFileStrategy', 'modules', ...OPTIONS], { cwd: home, stdio: 'inherit' });
    return all.map(({ page, name, module }) => {
      const text = all.reduce((links, to) => links.replaceAll(`(${to.module}.md`, `(${to.page}`), readFileSync(join(out, `${module}.md`), 'utf8')).replace(/^# .*\n+/, '').trimEnd();
      return { page, text: `# ${name}\n\nGenerated from the types by \`make api\`.\n\n${text}\n` };
    });
  } finally {
    rmSync(out, { recursive: true });
  }
}

const stale = [];
for (const { page, text } of generate(entries())) {
  const file = join(pages, page);
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) stale.push(page);
}
if (stale.length > 0) {
  console.error(`docs/api is not what the types say (${stale.join(', ')}): run \`make api\`.`);
  process.exit(1);
}
