import type { ClientCallMessage } from '../trace/client-trace.js';
import type { CallMessage } from '../trace/call-trace.js';
import { ClientSpans } from './client-spans.js';
import { follow } from './follow.js';
import { checkInstrumentOptions } from './options.js';
import type { InstrumentOptions } from './options.js';
import { ServerSpans } from './server-spans.js';

/**
 * Makes spans and measures durations, by OpenTelemetry's conventions for HTTP: of every call that a handler in this thread
 * answers, and of every call that a client in this thread makes. Handlers run in the context that their request carries.
 *
 * ```js
 * instrument();   // in each thread, with the SDK registered: workers load it as the main thread does
 * ```
 *
 * Returns what ends it. Throws an OptionError.
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  const checked = checkInstrumentOptions(options);
  const ends = [
    follow<CallMessage>('fasttunnel.call', new ServerSpans(checked)),
    follow<ClientCallMessage>('fasttunnel.client.call', new ClientSpans(checked)),
  ];
  return () => {
    for (const end of ends) end();
  };
}
