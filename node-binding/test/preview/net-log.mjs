// What Chromium writes of its network with `--log-net-log=file`: https://www.chromium.org/developers/design-documents/network-stack/netlog/
import { readFileSync } from 'node:fs';

/** The events of a log that is whole: `{ type, phase, source, params }`, with names for types and phases; `source` is the number of what it is about. */
export function readNetLog(file) {
  const { constants, events } = JSON.parse(readFileSync(file, 'utf8'));
  const names = (numbers) => new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
  const [types, phases] = [names(constants.logEventTypes), names(constants.logEventPhase)];
  return events.map(({ type, phase, source, params = {} }) => ({ type: types.get(type), phase: phases.get(phase), source: source.id, params }));
}

/** How many there were at a time, of what `begins` and `ends` name, as events come. */
function mostAtATime(events, begins, ends) {
  const open = new Set();
  let most = 0;
  for (const event of events) {
    const [begun, ended] = [begins(event), ends(event)];
    if (begun !== undefined) open.add(begun);
    if (ended !== undefined) open.delete(ended);
    most = Math.max(most, open.size);
  }
  return most;
}

/** What the log says of a server at `port` of this machine, each as the most of them at a time: sockets, and streams on each session of HTTP/2. */
export function connectionsTo(events, port) {
  const place = `127.0.0.1:${port}`;
  const connected = new Set(events.filter(({ type, params }) => type === 'TCP_CONNECT' && params.remote_address === place).map(({ source }) => source));
  const alive = (phase) => ({ type, source, ...event }) => (type === 'SOCKET_ALIVE' && event.phase === phase && connected.has(source) ? source : undefined);
  const sessions = events.filter(({ type, params }) => type === 'HTTP2_SESSION' && params.host === place).map(({ source }) => source);
  const streams = sessions.map((session) => mostAtATime(
    events.filter(({ source }) => source === session),
    ({ type, params }) => (type === 'HTTP2_SESSION_SEND_HEADERS' ? params.stream_id : undefined),
    ({ type, params }) => (/^HTTP2_SESSION_RECV_(?:DATA|HEADERS)$/.test(type) && params.fin ? params.stream_id : undefined),
  ));
  return { sockets: mostAtATime(events, alive('PHASE_BEGIN'), alive('PHASE_END')), streams };
}
