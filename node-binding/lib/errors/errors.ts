import { ERROR_CODES } from '../facts/facts.generated.js';

/** An option was wrong; nothing listens. The message names the option, the value and the fix. */
export class OptionError extends TypeError {
  static {
    this.prototype.name = 'OptionError';
  }

  readonly code = ERROR_CODES.badOption;
  /** Path of the option, for example `limits.maxBodyBytes`. */
  readonly option: string;
  /** What was given, `(hidden)` for tokens, and where only the engine has noticed. */
  readonly value: unknown;

  constructor(option: string, value: unknown, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.option = option;
    this.value = value;
  }
}

/**
 * How what native code says of an option becomes an {@link OptionError}; any other error stays what it is. It is what
 * our own checks have let through: its message begins with the option's name, or is one of Node-API's about a type.
 */
export function optionErrorOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof OptionError) return error;
  const { code } = error as Error & { code?: unknown };
  if (code !== ERROR_CODES.badOption && !/^(?:InvalidArg|[A-Z]\w+Expected)$/.test(String(code))) return error;
  const named = /^([\w.[\]]+): (.*)$/s.exec(error.message);
  const [option, problem] = named === null ? ['options', error.message] : [named[1]!, named[2]!];
  return new OptionError(option, '(hidden)', `${option}: ${problem}. The engine refuses it.`, { cause: error });
}

/** The tunnel is closed (or closing) and cannot be used again. */
export class ClosedError extends Error {
  static {
    this.prototype.name = 'ClosedError';
  }

  readonly code = ERROR_CODES.closed;

  constructor(action: string, what = 'tunnel') {
    super(`${action}: the ${what} is closed. Create a new one.`);
  }
}

/** Something was done in the wrong order (`listen()` twice, or `port` before `listen()`), or would have no effect. */
export class StateError extends Error {
  static {
    this.prototype.name = 'StateError';
  }

  readonly code: 'FASTTUNNEL_ALREADY_LISTENING' | 'FASTTUNNEL_NOT_LISTENING' | 'FASTTUNNEL_NOT_OFFERED';

  constructor(code: StateError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A file's stream was asked for twice: its bytes come once. */
export class FileConsumedError extends Error {
  static {
    this.prototype.name = 'FileConsumedError';
  }

  readonly code = 'FASTTUNNEL_FILE_CONSUMED';

  constructor(name: string) {
    super(`InputFile stream already consumed: ${JSON.stringify(name)}. Its bytes come once; keep what you need of them, or write them to a file with toTempFile().`);
  }
}

/** A file whose bytes were thrown away: nobody had asked for them when its task settled, or has read on for long. */
export class FileLostError extends Error {
  static {
    this.prototype.name = 'FileLostError';
  }

  readonly code = 'FASTTUNNEL_FILE_LOST';

  constructor(id: string) {
    super(`the bytes of the file ${JSON.stringify(id)} are gone: its call is over, and nobody has opened its stream before, or read on since.`);
  }
}

/** A file that does not come to its end, because of what is wrong with the form that it is in. */
export class FileRefusedError extends Error {
  static {
    this.prototype.name = 'FileRefusedError';
  }

  readonly code = 'FASTTUNNEL_FILE_REFUSED';

  constructor(reason: string) {
    super(`the file does not come to its end: ${reason}`);
  }
}

/** There is no room for what a task has not read yet: the disk is full, the directory cannot be written, … */
export class SpoolError extends Error {
  static {
    this.prototype.name = 'SpoolError';
  }

  readonly code: string;

  constructor(id: string, directory: string, cause: Error) {
    super(`the file ${JSON.stringify(id)} cannot be kept in ${directory}: ${cause.message}. See the option tempDir.`, { cause });
    this.code = (cause as Error & { code?: string }).code ?? 'FASTTUNNEL_SPOOL';
  }
}

/** A streamed answer has more bytes, or fewer, than its `content-length` declares: the connection was cut, or the call got a 500. */
export class AnswerLengthError extends Error {
  static {
    this.prototype.name = 'AnswerLengthError';
  }

  readonly code = 'FASTTUNNEL_ANSWER_LENGTH';
  /** Bytes, by `content-length`. */
  readonly declared: number;
  /** Bytes that the stream has given: all of them where they are too few, and with the first chunk that was too much. */
  readonly sent: number;

  constructor(declared: number, sent: number) {
    const what = sent > declared ? `has given ${sent}` : `has ended after ${sent}`;
    super(`the answer declares a content-length of ${declared} bytes, and its stream ${what}. Declare bytes, not characters (Buffer.byteLength(text)), or leave content-length out.`);
    this.declared = declared;
    this.sent = sent;
  }
}

/** A part of the engine has failed: a defect of ours, please report it with what stands on stderr. */
export class ShardError extends Error {
  static {
    this.prototype.name = 'ShardError';
  }

  readonly code: 'FASTTUNNEL_SHARD_RESTARTED' | 'FASTTUNNEL_SHARD_FAILED';

  constructor(code: ShardError['code']) {
    const next = code === 'FASTTUNNEL_SHARD_FAILED' ? 'It has done so too often: the tunnel closes.' : 'It was started anew.';
    super(`a shard has failed: its connections were cut, the signals of its calls abort. ${next}`);
    this.code = code;
  }
}

/** A task id was registered a second time. */
export class DuplicateTaskError extends Error {
  static {
    this.prototype.name = 'DuplicateTaskError';
  }

  readonly code = 'FASTTUNNEL_DUPLICATE_TASK';
  readonly id: string;

  constructor(id: string) {
    super(`task ${JSON.stringify(id)} is already registered. A task has one handler: call unregisterTask(${JSON.stringify(id)}) first.`);
    this.id = id;
  }
}
