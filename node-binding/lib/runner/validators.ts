import { AsyncResource } from 'node:async_hooks';
import type { ITask, TaskRunner } from '@bluelibs/runner';
import type { RequestFacts } from '../bridge/hooks.js';

/** The app's own say on who may call: tasks tagged `globals.tags.authValidator` (CONTRACT 4). */
export class Validators {
  readonly #tasks: readonly ITask[];
  readonly #taskRunner: TaskRunner;

  constructor(tasks: readonly ITask[], taskRunner: TaskRunner) {
    this.#tasks = tasks;
    this.#taskRunner = taskRunner;
  }

  /** In the order of registration, one after another; the first truthy `ok` lets the call pass. */
  pass(request: RequestFacts): Promise<boolean> {
    return new AsyncResource('FASTTUNNEL_AUTH', { requireManualDestroy: true }).runInAsyncScope(this.#ask, undefined, request);
  }

  readonly #ask = async ({ headers, method, url }: RequestFacts): Promise<boolean> => {
    const input = { headers, method, url, path: pathOf(url) };
    for (const task of this.#tasks) {
      try {
        const verdict = (await this.#taskRunner.run(task, input)) as { ok?: unknown } | null | undefined;
        if (verdict?.ok) return true;
      } catch {
        // A validator that throws does not vouch for anybody.
      }
    }
    return false;
  };
}

function pathOf(url: string): string {
  return new URL(url, 'http://localhost').pathname;
}
