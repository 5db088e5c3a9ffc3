// What the proxies count against what their clients have seen, while everything is at rest.

/** Everything that does not add up, in words. `open` says which connections to servers are still there. */
export function checkBooks({ quiet, total, told }, tally, open) {
  const wrong = [];
  const must = (holds, what) => { if (!holds) wrong.push(what); };
  const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

  must(quiet, `it does not come to rest: ${total.connections} connections, ${total.contexts} contexts, ${total.heldBytes} bytes held, told of ${told.count} of ${total.requests} requests`);
  for (const connection of open) wrong.push(`a connection to a server is open: ${connection}`);
  must(total.panics === 0, `panics ${total.panics}`);
  must(total.accepted + total.turnedAway === tally.opened, `connections: ${total.accepted} + ${total.turnedAway} turned away, the clients have opened ${tally.opened}`);
  must(told.count + total.unheard === total.requests, `requests ${total.requests}, told of ${told.count}, not of ${total.unheard}`);
  must(sum(told.statuses) === told.count, `told of ${told.count} requests, by their statuses ${sum(told.statuses)}`);
  // What a client has seen was counted; what was counted and not seen is of clients that left.
  for (const [status, seen] of Object.entries(tally.statuses)) {
    if (status === '400' || status === '505') continue;
    must((told.statuses[status] ?? 0) + total.unheard >= seen, `told of ${told.statuses[status] ?? 0} requests that were answered with ${status}, the clients have seen ${seen}`);
  }
  const refusals = Object.entries(tally.statuses).reduce((all, [status, seen]) => all + (/^(?:400|407|502|504|505)$/.test(status) ? seen : 0), 0);
  must(total.refused >= refusals, `refused ${total.refused}, the clients have seen ${refusals}`);
  must(total.protocolErrors >= (tally.kinds.malformed ?? 0), `protocol errors ${total.protocolErrors}, the clients have made ${tally.kinds.malformed}`);
  return wrong;
}
