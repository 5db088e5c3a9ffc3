// A process of the comparison, with which one talks by messages.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { CommandError } from '../command.js';

export class Helper<Question, Answer extends { readonly error?: string }> {
  readonly #name: string;
  readonly #child: ChildProcess;
  #stderr = '';

  constructor(script: 'server' | 'caller', name: string) {
    this.#name = name;
    // Options of this process, `--inspect` for example, are not for others.
    this.#child = fork(join(__dirname, `${script}.js`), [name], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => { this.#stderr += text; });
  }

  /** The next message. Rejects with a CommandError when there is none. */
  next(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        this.#child.off('message', come);
        reject(new CommandError(`${this.#name} has ended: ${this.#stderr.trim()}`));
      };
      const come = (answer: Answer): void => {
        this.#child.off('exit', ended);
        if (answer.error === undefined) resolve(answer);
        else reject(new CommandError(`${this.#name}: ${answer.error}`));
      };
      this.#child.once('message', come as (message: unknown) => void);
      this.#child.once('exit', ended);
      if (this.#child.exitCode !== null) ended();
    });
  }

  async ask(question: Question): Promise<Answer> {
    const answer = this.next();
    this.#child.send(question as object);
    return await answer;
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
