// A report for people.
import { columns } from '../help.js';
import type { Limit, Report } from './report.js';

export function textOfReport({ system, versions, addon, driver, limits, ports, calls, findings, ok }: Report): string {
  const rows: [string, string][] = [
    ['system', [`${system.platform} ${system.arch}`, system.libc === null ? '' : `${system.libc} ${system.libcVersion ?? ''}`.trim(), `kernel ${system.kernel}`, system.container === null ? '' : `in ${system.container}`].filter((part) => part !== '').join(', ')],
    ['versions', [`fasttunnel ${versions.fasttunnel}`, versions.runtime, versions.runner === null ? 'no Runner' : `Runner ${versions.runner}`, versions.packageManager ?? ''].filter((part) => part !== '').join(', ')],
    ['addon', addon.error === null ? `${addon.file ?? ''}, build ${addon.build ?? ''}` : 'not loaded'],
    ['driver', driver.name === null ? 'none' : `${driver.name}${driver.reason === null ? '' : `, because of ${driver.reason}`}`],
    ['open files', limitText(limits.openFiles, String)],
    ['locked memory', limitText(limits.lockedMemoryBytes, bytesText)],
    ['processors', `${limits.cpus}, quota ${limits.cpuQuota ?? 'none'}`],
    ['memory', `limit ${limits.memoryBytes === null ? 'none' : bytesText(limits.memoryBytes)}`],
    ...ports.map(({ port, free, usedBy }): [string, string] => [`port ${port}`, free ? 'free' : `in use${usedBy === null ? '' : ` by ${usedBy.name} (process ${usedBy.pid})`}`]),
    ...calls.map((call): [string, string] => [`call, ${call.driver}`, call.ok ? `answered, ${call.ms} ms with start and stop` : `failed: ${call.error}`]),
  ];
  const said = findings.map(({ level, text, fix }) => `${level}: ${text.replace(/\.$/, '')}.${fix === null ? '' : ` ${fix}`}`);
  return [...columns(rows, ''), '', ...said, ok ? 'All is fine.' : 'Not all is fine.', ''].join('\n');
}

function limitText(limit: Limit | null, show: (value: number) => string): string {
  if (limit === null) return 'unknown';
  const [soft, hard] = [limit.soft, limit.hard].map((value) => (value === null ? 'unlimited' : show(value)));
  return soft === hard ? soft! : `${soft}, can be raised to ${hard}`;
}

function bytesText(bytes: number): string {
  return bytes >= 2 ** 20 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${Math.round(bytes / 2 ** 10)} KiB`;
}
