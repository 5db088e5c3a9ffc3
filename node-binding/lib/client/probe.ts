// Which server it is. The answers of fasttunnel and of `nodeExposure` to calls are equal to the byte, as the contract wants
// it. They differ in one thing that does no harm to ask: a path with a dot segment, which the one refuses and the other resolves.
import type { AnswerHead } from './answer-head.js';
import { Call } from './call.js';
import { Ledger } from './ledger.js';
import { Pace } from './pace.js';

/** What a path with a dot segment is answered by an engine that does not resolve it; any other says 405. */
const REFUSED = 404;

/** A question to a server, on the way to it like a call. `answered` gets undefined if there is no answer. */
export function probe(answered: (isOurs: boolean | undefined) => void): Call {
  const target = { what: 'the question which server it is', kind: 'probe', id: '', method: 'GET', path: '/./task/x', pace: new Pace(Infinity), begin: '', beginsWith: '' } as const;
  return new Call(target, 'which-server', '', 0, new Ledger(), (head) => answered((head as AnswerHead).status === REFUSED), () => answered(undefined));
}
