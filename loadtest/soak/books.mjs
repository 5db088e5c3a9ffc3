// What the server counts against what its clients have seen, while everything is at rest.

/** Everything that does not add up, in words. */
export function checkBooks({ quiet, live, failedShards, total }, tally, ledger) {
  const wrong = [];
  const must = (holds, what) => { if (!holds) wrong.push(what); };
  const seen = (status) => tally.statuses[status] ?? 0;

  must(quiet, `it does not come to rest: ${live} calls live, ${total.inFlight} in flight, ${total.connections} connections`);
  must(failedShards === 0 && total.panics === 0 && total.hostErrors === 0, `panics ${total.panics}, host errors ${total.hostErrors}`);
  must(total.accepted + total.turnedAway === tally.opened, `connections: ${total.accepted} + ${total.turnedAway} turned away, the clients have opened ${tally.opened}`);
  // Each call ends in one of two ways.
  must(total.calls === total.answered + total.abandoned, `calls ${total.calls}, answered ${total.answered}, abandoned ${total.abandoned}`);
  // What a client has seen was counted; what was counted and not seen is of clients that left.
  must(total.answered >= tally.fromHandlers, `answered ${total.answered}, the clients have seen ${tally.fromHandlers}`);
  must(total.overloaded + total.shed >= seen(503), `overloaded ${total.overloaded}, shed ${total.shed}, the clients have seen ${seen(503)}`);
  must(total.handlerTimeouts >= seen(504), `handler timeouts ${total.handlerTimeouts}, the clients have seen ${seen(504)}`);
  must(total.cutAnswers >= tally.broken, `cut answers ${total.cutAnswers}, the clients have seen ${tally.broken}`);
  must(ledger.begun <= total.calls, `handlers began ${ledger.begun} times, for ${total.calls} calls`);
  must(ledger.begun >= tally.fromHandlers - seen(504), `handlers began ${ledger.begun} times, the clients have seen ${tally.fromHandlers} answers of them`);
  return wrong;
}
