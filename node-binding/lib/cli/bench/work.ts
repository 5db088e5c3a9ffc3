// What the processes of a comparison agree on.
import { BASE_PATH, TOKEN_HEADER } from '../../facts/facts.generated.js';

export const TASK = 'bench.add';
/** No secret: the servers listen for the length of a comparison, and add two numbers. */
export const TOKEN = 'fasttunnel-bench';
const BODY = '{"input":{"a":1,"b":2}}';
/** How every right answer ends. */
export const ANSWER_END = '{"ok":true,"result":3}';

/** One call, byte by byte. */
export function requestOf(port: number): Buffer {
  return Buffer.from(
    `POST ${BASE_PATH}/task/${TASK} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${TOKEN_HEADER}: ${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
  );
}

export type ToServer = 'cpu';
export interface FromServer {
  readonly port?: number;
  readonly driver?: string;
  readonly cpuUs?: number;
  readonly error?: string;
}

export interface ToCaller {
  readonly port: number;
  readonly connections: number;
  readonly ms: number;
}
export interface FromCaller {
  readonly answers?: number;
  readonly ms?: number;
  /** Processor time of the caller. */
  readonly cpuUs?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  readonly error?: string;
}
