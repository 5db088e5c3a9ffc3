// Puts the report together: what there is, then what is wrong with it.
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { addon } from '../../native/addon.js';
import { loadedFile } from '../../native/load.js';
import { glibcVersion, packageManager, processLibc } from '../../native/platform.js';
import { packageVersion, runnerVersion, runtimeVersion } from '../versions.js';
import { chosenDriver, tryCall } from './calls.js';
import { limitsOf } from './limits.js';
import type { ReadText } from './limits.js';
import { obstaclesOf } from './obstacles.js';
import type { Obstacle } from './obstacles.js';
import { findingsOf } from './findings.js';
import { portReport } from './port.js';
import type { CallReport, DriverReport, Report, SystemReport } from './report.js';

export async function examine(port: number): Promise<Report> {
  const system = systemReport();
  const limits = limitsOf(readText);
  const loaded = loadAddon();
  const calls: CallReport[] = [];
  // One after another: each of them alone, as an app starts.
  if (loaded.error === null) for (const driver of ['io_uring', 'epoll'] as const) calls.push(await tryCall(driver));
  const { driver, obstacles } = await driverReport(system.kernel, loaded.error !== null);
  const ports = [await portReport(port, readText)];
  const findings = findingsOf({ addon: loaded, driver, limits, ports, calls }, obstacles);
  const manager = packageManager();
  const versions = {
    fasttunnel: packageVersion(), runtime: runtimeVersion, runner: runnerVersion() ?? null, packageManager: manager === undefined ? null : `${manager.name} ${manager.version}`,
  };
  return { schema: 1, ok: findings.every(({ level }) => level !== 'problem'), system, versions, addon: loaded, driver, limits, ports, calls, findings };
}

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

function systemReport(): SystemReport {
  const linux = process.platform === 'linux';
  return {
    platform: process.platform,
    arch: process.arch,
    libc: linux ? (processLibc() ?? null) : null,
    libcVersion: glibcVersion() ?? null,
    kernel: release(),
    container: linux ? containerOf() : null,
  };
}

function containerOf(): string | null {
  if (existsSync('/.dockerenv')) return 'docker';
  if (existsSync('/run/.containerenv')) return 'podman';
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'kubernetes';
  return process.env['container'] ?? null;
}

function loadAddon(): Report['addon'] {
  try {
    return { build: addon().factsHash(), file: loadedFile() ?? null, error: null };
  } catch (error) {
    return { build: null, file: loadedFile() ?? null, error: chainOf(error) };
  }
}

async function driverReport(kernel: string, broken: boolean): Promise<{ driver: DriverReport; obstacles: readonly Obstacle[] }> {
  const chosen = broken ? { name: null, reason: null } : await chosenDriver().catch((error: unknown) => ({ name: null, reason: chainOf(error) }));
  const obstacles = process.platform === 'linux' && chosen.name !== 'io_uring' ? obstaclesOf(kernel, chosen.reason, readText) : [];
  return { driver: { ...chosen, obstacles: obstacles.map(({ text }) => text) }, obstacles };
}

/** What an error says, and those that it comes from say, unless it has said so. */
function chainOf(error: unknown): string {
  let text = '';
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    const message = at instanceof Error ? at.message : String(at);
    if (!text.includes(message.replace(/\.$/, ''))) text += `${text === '' ? '' : ' Cause: '}${message}`;
  }
  return text;
}
