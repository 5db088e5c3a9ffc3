// Reads the arguments of a command by its specification. What is wrong is said with the name that was probably meant.
import { parseArgs } from 'node:util';
import { asInteger, closest, fail } from '../options/checks.js';
import { CommandError, EXIT, Given } from './command.js';
import type { Command, OptionSpec } from './command.js';

/** Every command has it. */
const HELP: OptionSpec = { type: 'boolean', help: 'show this text' };

/** All options of a command, by their names. */
export function optionsOf({ options }: Pick<Command, 'options'>): Readonly<Record<string, OptionSpec>> {
  return { ...options, help: HELP };
}

/** The operands and options, or `help` when that was asked for: then nothing else has to be right. */
export function readArguments(command: Command, args: readonly string[]): Given | 'help' {
  const specs = optionsOf(command);
  const known = Object.fromEntries(Object.entries(specs).map(([name, { type }]) => [name, { type: type === 'boolean' ? 'boolean' as const : 'string' as const, multiple: true }]));
  // Not strict: its messages know no other name than the one that is wrong.
  const { tokens } = parseArgs({ args: [...args], options: { ...known, help: { ...known['help']!, short: 'h' } }, strict: false, allowPositionals: true, tokens: true });
  const usage = `fasttunnel ${command.name} ${command.operands}`.trimEnd();
  const wrong = (problem: string): never => {
    throw new CommandError(`${problem}\nRun \`fasttunnel ${command.name} --help\` for its usage.`, EXIT.usage);
  };

  if (tokens.some((token) => token.kind === 'option' && token.name === 'help')) return 'help';
  const operands: string[] = [];
  const values: Record<string, unknown> = {};
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    if (spec === undefined) return wrong(unknownOption(token.rawName, Object.keys(specs)));
    if (spec.type === 'boolean') {
      if (token.value !== undefined) wrong(`--${token.name} takes no value, got ${JSON.stringify(token.value)}.`);
      values[token.name] = true;
      continue;
    }
    // `--token --anonymous`: what was forgotten is the value.
    if (token.value === undefined || (!token.inlineValue && /^-./.test(token.value))) {
      wrong(`--${token.name} needs a value: --${token.name} ${spec.value ?? 'VALUE'}${token.value === undefined ? '' : `, or --${token.name}=${token.value} if that is the value`}.`);
    }
    if (spec.type === 'list') values[token.name] = [...((values[token.name] as string[] | undefined) ?? []), token.value];
    else if (values[token.name] !== undefined) wrong(`--${token.name} is given twice.`);
    else values[token.name] = spec.type === 'string' ? token.value : asNumber(token.name, token.value!, spec);
  }
  if (operands.length < command.least) wrong(`Something is missing: ${usage}`);
  if (operands.length > command.most) wrong(`${JSON.stringify(operands[command.most])} is one too many: ${usage}`);
  return new Given(operands, values, specs);
}

function unknownOption(rawName: string, known: readonly string[]): string {
  const near = closest(rawName.replace(/^-+/, ''), known);
  return `There is no option ${rawName}. ${near === undefined ? `Options: ${known.map((name) => `--${name}`).join(', ')}.` : `Did you mean --${near}?`}`;
}

/** What is no number goes on as the text that it is, for the check to name it. */
function asNumber(name: string, text: string, { type, bounds }: OptionSpec): number {
  const { least, most, unit, fallback } = bounds!;
  if (type === 'integer') return asInteger(`--${name}`, /^-?\d+$/.test(text) ? Number(text) : text, bounds!);
  const number = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) fail(`--${name}`, text, `must be a number from ${least} to ${most} (${unit})`, `The default is ${fallback}.`);
  return number;
}
