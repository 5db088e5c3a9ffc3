// The command line as a whole: which command, what it ends with.
import { OptionError } from '../errors/errors.js';
import { closest } from '../options/checks.js';
import { readArguments } from './arguments.js';
import { CommandError, EXIT } from './command.js';
import type { Command } from './command.js';
import { COMMANDS } from './commands.js';
import { commandHelp, programHelp } from './help.js';
import { packageVersion } from './versions.js';

/** Runs what the arguments say. The process has its exit code afterwards, and goes on as long as something listens. */
export async function main(args: readonly string[]): Promise<void> {
  // Whatever reads the output may have had enough (`| head -1`): no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.fine);
    throw error;
  });
  try {
    const code = await dispatch(args);
    if (code !== undefined) process.exitCode = code;
  } catch (error) {
    process.exitCode = report(error);
  }
}

async function dispatch([first, ...rest]: readonly string[]): Promise<number | undefined> {
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') return help(rest[0]);
  if (first === '--version' || first === '-v') {
    process.stdout.write(`${packageVersion()}\n`);
    return EXIT.fine;
  }
  const command = commandOf(first);
  const given = readArguments(command, rest);
  return given === 'help' ? help(command.name) : await command.run(given);
}

function help(name: string | undefined): number {
  process.stdout.write(name === undefined ? programHelp(COMMANDS) : commandHelp(commandOf(name)));
  return EXIT.fine;
}

function commandOf(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command !== undefined) return command;
  const names = COMMANDS.map((one) => one.name);
  const near = closest(name, names);
  const kind = name.startsWith('-') ? 'option' : 'command';
  throw new CommandError(`There is no ${kind} ${name}. ${near === undefined ? `Commands: ${names.join(', ')}.` : `Did you mean ${near}?`}\nRun \`fasttunnel --help\` for all of them.`, EXIT.usage);
}

/** Errors that say what is wrong are shown as they are; any other is a defect, and comes with its stack. */
function report(error: unknown): number {
  if (error instanceof CommandError) {
    process.stderr.write(`fasttunnel: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof OptionError) {
    process.stderr.write(`fasttunnel: ${error.message}\n`);
    return EXIT.usage;
  }
  const text = error instanceof Error ? ('code' in error ? `${error.name}: ${error.message}` : error.stack) : String(error);
  process.stderr.write(`fasttunnel: ${text}\n`);
  return EXIT.failed;
}
