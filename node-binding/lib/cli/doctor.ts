// `fasttunnel doctor`: the report, and whether all is fine.
import { EXIT } from './command.js';
import type { Given } from './command.js';
import { examine } from './doctor/examine.js';
import { textOfReport } from './doctor/text.js';

export async function doctor(given: Given): Promise<number> {
  const report = await examine(given.number('port')!);
  process.stdout.write(given.flag('json') ? `${JSON.stringify(report, null, 2)}\n` : textOfReport(report));
  return report.ok ? EXIT.fine : EXIT.failed;
}
