// Reads connections with Node's own HTTP parser. In: length (u32 LE), bytes. Out: the same of
// {"messages":[{method,target,fields,body,keepAlive}],"error":code|null}. Ends with its stdin.
'use strict';

const { readSync, writeSync } = require('node:fs');
// Not public, but the only way to the parser that node:http itself uses.
const { HTTPParser, methods, allMethods = methods } = process.binding('http_parser');

const MAX_HEAD_BYTES = 1 << 20;

function parse(bytes) {
  const messages = [];
  let open;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, MAX_HEAD_BYTES, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnMessageBegin] = () => { open = { fields: [], body: '', complete: false }; };
  // Lines that did not fit into one call; behind the head they are trailers, which nobody merges.
  parser[HTTPParser.kOnHeaders] = (fields, url) => {
    if (open.complete) return;
    open.fields.push(...fields);
    if (url) open.target = url;
  };
  parser[HTTPParser.kOnHeadersComplete] = (_major, _minor, fields, method, url, _status, _message, _upgrade, keepAlive) => {
    if (fields) open.fields.push(...fields);
    Object.assign(open, { complete: true, method: allMethods[method], target: url ?? open.target, keepAlive });
    return 0;
  };
  parser[HTTPParser.kOnBody] = (data) => { open.body += data.toString('latin1'); };
  parser[HTTPParser.kOnMessageComplete] = () => { messages.push(open); };
  const result = parser.execute(bytes);
  parser.close();
  // It stops behind a message that asks for an upgrade. Nobody upgrades here (as in a node:http without such a
  // listener): the rest is read as what follows.
  if (typeof result === 'number' && result < bytes.length && messages.length > 0) {
    const rest = parse(bytes.subarray(result));
    return { messages: [...messages, ...rest.messages], error: rest.error };
  }
  return { messages, error: result instanceof Error ? result.code : null };
}

function fill(buffer) {
  for (let at = 0; at < buffer.length;) {
    const read = readSync(0, buffer, at, buffer.length - at);
    if (read === 0) process.exit(0);
    at += read;
  }
  return buffer;
}

for (;;) {
  const bytes = fill(Buffer.alloc(fill(Buffer.alloc(4)).readUInt32LE()));
  const answer = Buffer.from(JSON.stringify(parse(bytes)));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(answer.length);
  const out = Buffer.concat([length, answer]);
  for (let at = 0; at < out.length;) at += writeSync(1, out, at);
}
