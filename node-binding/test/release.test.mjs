// The release: what its workflow calls is there, who may publish, and that versions agree.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MANIFEST } from '../packaging/targets.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { load } = createRequire(join(root, 'node-binding/packaging/package.json'))('js-yaml');
const { version } = MANIFEST;

describe('the release workflow', () => {
  const { on, permissions, jobs } = load(readFileSync(join(root, '.github/workflows/release.yml'), 'utf8'));
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it('starts with a tag, or by hand', () => {
    assert.deepEqual(on, { push: { tags: ['v*'] }, workflow_dispatch: null });
  });

  it('runs only targets that the Makefile has, each of them described', () => {
    const commands = steps.filter(({ run }) => run !== undefined).map(({ run }) => run);
    const targets = commands.map((command) => /^make ([a-z0-9-]+)(?: [A-Z]+=\S+)?(?: \| gh release create [^|;&]+)?$/.exec(command)?.[1] ?? assert.fail(command));
    assert.deepEqual([...new Set(targets)], ['release-check', 'lint', 'test', 'pack-test', 'try', 'publish', 'release-notes']);
    const makefile = readFileSync(join(root, 'Makefile'), 'utf8');
    for (const target of targets) assert.match(makefile, new RegExp(`^${target}:.* ## `, 'm'), target);
  });

  it('lets one job write and sign: that which publishes, by a tag alone, what the others have tested', () => {
    assert.deepEqual(permissions, { contents: 'read' });
    for (const [name, job] of Object.entries(jobs)) {
      const publishes = job.steps.some(({ run }) => run === 'make publish');
      assert.deepEqual(job.permissions, publishes ? { contents: 'write', 'id-token': 'write' } : undefined, name);
      if (!publishes) continue;
      assert.equal(job.if, "github.ref_type == 'tag'");
      assert.deepEqual([...job.needs].sort(), Object.keys(jobs).filter((other) => other !== name).sort());
      assert.ok(!job.steps.some(({ run }) => /\bpack\b|build/.test(run ?? '')), 'it builds nothing');
    }
    assert.ok(!JSON.stringify(jobs).includes('secrets.'), 'and there is no token to lose');
  });

  it('hands on the folder that `make pack` makes', () => {
    const folders = steps.filter(({ uses }) => /\/(?:upload|download)-artifact@/.test(uses ?? '')).map((step) => [step.with.name, step.with.path]);
    assert.deepEqual(folders, Array.from({ length: 3 }, () => ['packages', 'node-binding/packages']));
  });
});

describe('a release', () => {
  const copy = mkdtempSync(join(tmpdir(), 'fasttunnel-release-'));
  after(() => rmSync(copy, { recursive: true }));
  const written = (path, text) => writeFileSync(join(copy, path), text);
  const read = (path) => readFileSync(join(root, path), 'utf8');
  const dated = `# Changelog\n\n## ${version} – 2026-12-24\n\nThe first version.\n\n- A thing.\n\n## 0.0.1 – 2026-01-01\n\n- Older.\n`;

  function release(...args) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(copy, 'node-binding/packaging/release.mjs'), ...args], { encoding: 'utf8' });
    return status === 0 ? stdout : stderr;
  }

  before(() => {
    for (const path of ['Cargo.toml', 'node-binding/package.json']) cpSync(join(root, path), join(copy, path), { recursive: true });
    cpSync(join(root, 'node-binding/packaging'), join(copy, 'node-binding/packaging'), { recursive: true, filter: (path) => basename(path) !== 'node_modules' });
    written('CHANGELOG.md', dated);
  });

  it('has one version in its tag, its manifests and its change log', () => {
    assert.equal(release('check', `v${version}`), '');
    assert.match(release('check', 'v9.9.9'), /the tag is v9\.9\.9, and node-binding\/package\.json has version/);
    written('CHANGELOG.md', dated.replace('2026-12-24', 'unreleased'));
    assert.match(release('check', `v${version}`), /"unreleased" for the date.*write the day of the release/);
    written('CHANGELOG.md', '# Changelog\n');
    assert.match(release('check', `v${version}`), /CHANGELOG\.md has nothing under/);
    written('CHANGELOG.md', dated);
    written('Cargo.toml', read('Cargo.toml').replace(`version = "${version}"`, 'version = "9.9.9"'));
    assert.match(release('check', `v${version}`), /Cargo\.toml has version 9\.9\.9/);
  });

  it('takes its notes from the change log, those of its version alone', () => {
    assert.equal(release('notes'), 'The first version.\n\n- A thing.\n');
  });

  it('publishes all packages or none', () => {
    mkdirSync(join(copy, 'node-binding/packages'));
    written(`node-binding/packages/fasttunnel-${version}.tgz`, '');
    assert.match(release('publish', '--dry-run'), /fasttunnel-linux-x64-gnu-.*\.tgz is missing: run `make pack TARGETS=all`/);
  });
});

it('the change log that is there has something of this version', () => {
  assert.match(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), new RegExp(`^## ${version.replaceAll('.', '\\.')} – \\S+$`, 'm'));
});
