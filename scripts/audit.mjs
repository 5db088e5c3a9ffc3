// Asks RustSec and npm for known vulnerabilities. Ends with 1 when there are some; a database that cannot be reached is
// said and skipped, unless AUDIT_STRICT is set.
import { spawnSync } from 'node:child_process';

const CHECKS = [
  { name: 'crates', command: ['cargo', 'deny', '--log-level', 'warn', 'check', 'advisories'], unreachable: /failed to fetch advisory database/ },
  { name: 'packages', command: ['npm', '--prefix', 'node-binding', 'audit'], unreachable: /audit endpoint returned an error|ENOTFOUND|ECONNREFUSED|ETIMEDOUT/ },
];

let failed = false;
for (const { name, command: [program, ...args], unreachable } of CHECKS) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw error;
  const output = `${stdout}${stderr}`.trim();
  if (status === 0) {
    console.log(`${name}: nothing known`);
  } else if (unreachable.test(output)) {
    console.log(`${name}: SKIPPED, the database cannot be reached from here`);
    failed ||= Boolean(process.env.AUDIT_STRICT);
  } else {
    console.log(`${name}: FOUND\n${output}`);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
