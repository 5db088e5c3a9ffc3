import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Bridge } from '../bridge/bridge-interface.js';
import { InProcessClient } from '../in-process/client.js';
import { isBodyLost } from '../in-process/foreign.js';
import type { ForeignRequest, ForeignResponse } from '../in-process/foreign.js';
import { answer, NOT_ENABLED, NOT_FOUND } from '../in-process/own-answers.js';
import { asAttachable, letGo } from './attachable-server.js';
import type { AttachableServer } from './attachable-server.js';
import { messageOf } from './logs.js';
import type { Logs } from './logs.js';

/** A request of a server of the app's: `node:http`, `node:https`, or `node:http2` with its compatibility API. */
export type ServerRequest = IncomingMessage | Http2ServerRequest;
export type ServerAnswer = ServerResponse | Http2ServerResponse;
export type RequestListener = (request: ServerRequest, response: ServerAnswer) => void;

/** What serves the requests of servers that are not fasttunnel's own: the same engine, the same answers. */
export interface ForeignHandlers {
  /** Answers a request under the base path. False: it is not, and nothing was done. */
  handleRequest(request: ServerRequest, response: ServerAnswer): Promise<boolean>;
  /** Answers a request that must be for a task: 404 for any other, whatever its path. */
  handleTask(request: ServerRequest, response: ServerAnswer): Promise<void>;
  /** Answers a request that must be for an event: 404 for any other, whatever its path. */
  handleEvent(request: ServerRequest, response: ServerAnswer): Promise<void>;
  /** Answers as discovery does, whatever the path. */
  handleDiscovery(request: ServerRequest, response: ServerAnswer): Promise<void>;
  /** A listener for a server of its own: 404 outside of the base path. */
  createRequestListener(): RequestListener;
  /** A server with such a listener. It is the caller's, to listen and to close. */
  createServer(): Server;
  /** Serves the requests under the base path of a server that has other uses. Returns what ends that; may be called again. */
  attachTo(server: AttachableServer): () => void;
}

/** The requests of servers that are not fasttunnel's own. */
export class ForeignServers implements ForeignHandlers {
  readonly #bridge: Bridge;
  readonly #client: InProcessClient;
  readonly #logs: Logs;
  readonly #basePath: string;
  readonly #attached = new Set<() => void>();
  #closed = false;

  constructor(bridge: Bridge, idleTimeoutMs: number, basePath: string, logs: Logs) {
    this.#bridge = bridge;
    this.#client = new InProcessClient(bridge, idleTimeoutMs);
    this.#basePath = basePath;
    this.#logs = logs;
  }

  // Properties, so that they can be handed around without their object, as those of nodeExposure.
  readonly handleRequest = async (request: ServerRequest, response: ServerAnswer): Promise<boolean> => {
    const target = request.url ?? '/';
    if (this.#bridge.route(target) === 'outside') return false;
    await this.#forward(request, response, target);
    return true;
  };

  readonly handleTask = (request: ServerRequest, response: ServerAnswer): Promise<void> => this.#handleKind('task', request, response);

  readonly handleEvent = (request: ServerRequest, response: ServerAnswer): Promise<void> => this.#handleKind('event', request, response);

  readonly handleDiscovery = (request: ServerRequest, response: ServerAnswer): Promise<void> => this.#forward(request, response, this.#under('discovery'));

  readonly createRequestListener = (): RequestListener => (request, response) => {
    const target = request.url ?? '/';
    if (this.#closed && this.#bridge.route(target) === 'outside') return answer(response as ForeignResponse, NOT_FOUND);
    // Outside of the base path the engine says what its own listener would.
    this.#contained(request, response, target);
  };

  readonly createServer = (): Server => createServer(this.createRequestListener());

  readonly attachTo = (given: AttachableServer): (() => void) => {
    const server = asAttachable('attachTo(server)', given);
    const listener: RequestListener = (request, response) => {
      const target = request.url ?? '/';
      if (this.#bridge.route(target) !== 'outside') this.#contained(request, response, target);
    };
    server.on('request', listener);
    const detach = (): void => {
      if (this.#attached.delete(detach)) letGo(server, listener);
    };
    this.#attached.add(detach);
    return detach;
  };

  /** Takes nothing more. Before the engine stops. */
  retire(): void {
    this.#closed = true;
    for (const detach of [...this.#attached]) {
      try {
        detach();
      } catch (error) {
        this.#logs.write('error', 'exposure.http.unhandled', { error: messageOf(error) });
      }
    }
    this.#client.retire();
  }

  /** Waits for the last answers to leave. After the engine has stopped. */
  close(): Promise<void> {
    return this.#client.close();
  }

  #handleKind(kind: 'task' | 'event', request: ServerRequest, response: ServerAnswer): Promise<void> {
    const target = request.url ?? '/';
    const destination = this.#bridge.route(target);
    // The base path itself is no target: a preflight is answered, everything else is 404.
    return this.#forward(request, response, destination === kind || destination === 'malformed' ? target : this.#under(''));
  }

  #under(path: string): string {
    return `${this.#basePath === '/' ? '' : this.#basePath}/${path}`;
  }

  /** For listeners, whose caller waits for nothing. */
  #contained(request: ServerRequest, response: ServerAnswer, target: string): void {
    this.#forward(request, response, target).catch((error: unknown) => {
      this.#logs.write('error', 'exposure.http.unhandled', { error: messageOf(error) });
    });
  }

  async #forward(request: ServerRequest, response: ServerAnswer, target: string): Promise<void> {
    const [foreignRequest, foreignResponse] = [request as ForeignRequest, response as ForeignResponse];
    if (this.#closed) return answer(foreignResponse, NOT_ENABLED);
    if (isBodyLost(foreignRequest)) {
      this.#logs.write('warn', 'fasttunnel: the body of a request was read before it came here; it counts as empty', { method: request.method, path: target.split('?', 1)[0] });
    }
    await this.#client.forward(foreignRequest, foreignResponse, target);
  }
}
