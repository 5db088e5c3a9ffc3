// What the scripts here share: how a run is cut short, quantiles, tables.

/** Only to see that it works. */
export const smoke = process.argv.includes('--smoke');

export const median = (numbers) => quantile(numbers, 0.5);
export const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))];

/** A table in Markdown, as README has them. */
export function print(title, columns, rows) {
  console.log(`\n${title}\n\n| ${columns.join(' | ')} |\n|${columns.map(() => '---').join('|')}|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}
