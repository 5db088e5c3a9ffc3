// Help texts, made of what the commands state of themselves.
import { optionsOf } from './arguments.js';
import type { Command, OptionSpec } from './command.js';

/** Of one command. */
export function commandHelp(command: Command): string {
  const options = Object.entries(optionsOf(command)).map(([name, spec]) => [`--${name}${spec.type === 'boolean' ? '' : ` ${spec.value ?? 'VALUE'}`}`, optionText(spec)] as const);
  return [
    `Usage: fasttunnel ${[command.name, command.operands, '[options]'].filter((part) => part !== '').join(' ')}`,
    '',
    ...command.about,
    '',
    'Options:',
    ...columns(options),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}

/** Of the whole. */
export function programHelp(commands: readonly Command[]): string {
  return [
    'Usage: fasttunnel <command> [options]',
    '',
    'Makes functions callable over HTTP.',
    '',
    'Commands:',
    ...columns(commands.map(({ name, operands, summary }) => [`${name} ${operands}`.trim(), summary])),
    '',
    'Options:',
    ...columns([['--help', 'show this text; behind a command, that of the command'], ['--version', 'show the version of the package']]),
    '',
  ].join('\n');
}

function optionText({ type, bounds, help }: OptionSpec): string {
  const fallback = bounds?.fallback === undefined ? '' : ` (default ${bounds.fallback})`;
  return `${help}${fallback}${type === 'list' ? '; may be given several times' : ''}`;
}

/** Two columns, the second of which begins at one place. */
export function columns(rows: readonly (readonly [string, string])[], indent = '  '): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`.trimEnd());
}
