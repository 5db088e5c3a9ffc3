// What clients do: in order and out of it.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAYBE, NEVER } from '../soak/ledger.mjs';
import { patternOf, slices } from '../soak/pattern.mjs';
import { ask, bytesOf1, download, failure, LOCAL, refusal, stalled } from './asks.mjs';
import { answerOf, leave, openAndLeave, within } from './clients.mjs';
import { Late } from './life.mjs';

const MALFORMED = [
  (target) => `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nbad header\r\n\r\n`,
  (target) => `POST http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
  (target) => `POST http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  (target) => `GET http://${target}/ HTTP/3.7\r\nHost: ${target}\r\n\r\n`,
  (target) => `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nX: \0\r\n\r\n`,
];

const PATIENCE_MS = 30_000;

const anyOf = (life) => (life.dice.once(5) ? failure : life.dice.once(6) ? refusal : ask);

/** The answer to a request. */
const answerTo = (connection, { method, expect }) => connection.answer({ bodiless: method === 'HEAD', trailed: expect.trailers !== undefined });

/** One request after the other, on a connection that is kept as long as the proxy does. */
async function orderly(life) {
  let connection = await life.open1();
  for (let left = life.dice.between(1, 10); left > 0; left -= 1) {
    const made = life.next(anyOf(life));
    const sent = life.dice.once(3) ? inPieces(life, connection, bytesOf1(life.dice, made)) : connection.write(bytesOf1(life.dice, made));
    const answer = await answerTo(connection, made);
    life.check(made, answer);
    if (answer === undefined || answer.close || !answer.complete || connection.ended) {
      connection.destroy();
      connection = await life.open1();
    }
    await sent;
  }
  life.must(connection.rest.length === 0, 'bytes behind the last answer');
  connection.destroy();
}

async function inPieces({ dice }, connection, bytes) {
  for (const piece of slices(dice, bytes, 5)) {
    await connection.write(piece);
    if (dice.once(2)) await sleep(dice.between(0, 4));
  }
}

/** All at once; the answers come in their order. */
async function pipelined(life) {
  const connection = await life.open1();
  const all = Array.from({ length: life.dice.between(2, 8) }, () => life.next());
  void connection.write(Buffer.concat(all.map((made) => bytesOf1(life.dice, made))));
  for (const made of all) life.check(made, await answerTo(connection, made));
  life.must(connection.rest.length === 0, 'bytes behind the last answer');
  connection.destroy();
}

/** Several streams at a time, on one connection. */
async function multiplexed(life) {
  const streams = await life.open2();
  for (let left = life.dice.between(1, 3); left > 0; left -= 1) {
    const all = Array.from({ length: life.dice.between(1, 20) }, () => life.next(anyOf(life)));
    await Promise.all(all.map(async (made) => life.check(made, await answerOf(streams.begin(made)))));
  }
  await streams.close();
}

/** What goes into a tunnel comes back, and its end does. */
async function echoed(life, write, read, end) {
  const bytes = patternOf(life.name, life.dice.between(1, life.dice.once(4) ? 400_000 : 20_000));
  const back = read(bytes.length);
  for (const piece of slices(life.dice, bytes, 6)) {
    write(piece);
    if (life.dice.once(3)) await sleep(life.dice.between(0, 4));
  }
  life.must(bytes.equals(await back), 'what has come back through a tunnel is not what went in');
  life.tally.kinds.tunnel = (life.tally.kinds.tunnel ?? 0) + 1;
  await end();
}

const connectLine = (target, proof) => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: Basic ${proof}\r\n\r\n`;

/** A tunnel to a server that sends everything back. Only contexts without a route get there. */
async function tunnelled(life) {
  const connection = await life.open1();
  life.asked += 1;
  await connection.write(connectLine(`127.0.0.1:${life.servers.echo}`, life.who.proof));
  const answer = await connection.answer({ bodiless: true });
  life.opens(answer?.status);
  await echoed(life, (piece) => void connection.write(piece), (length) => bytesFrom(connection, length), async () => {
    connection.finish();
    await connection.end();
    life.must(connection.error === undefined, `a tunnel ended with ${connection.error}`);
  });
  connection.destroy();
}

/** So many bytes of a connection, whatever they are. */
async function bytesFrom(connection, length) {
  await until(() => connection.rest.length >= length || connection.ended);
  return connection.rest;
}

async function until(holds) {
  for (const deadline = performance.now() + PATIENCE_MS; !holds() && performance.now() < deadline;) await sleep(2);
}

/** The same on a stream. */
async function tunnelledOnStream(life, fields, target = `127.0.0.1:${life.servers.echo}`) {
  const streams = await life.open2();
  life.asked += 1;
  const stream = streams.connect(target, life.who.proof, fields);
  const [head] = await Promise.race([once(stream, 'response'), once(stream, 'close').then(() => [{}])]);
  life.opens(head[':status']);
  const pieces = [];
  let came = 0;
  stream.on('data', (piece) => {
    pieces.push(piece);
    came += piece.length;
  });
  const read = async (length) => {
    await until(() => came >= length || stream.closed);
    return Buffer.concat(pieces);
  };
  await echoed(life, (piece) => stream.write(piece), read, async () => {
    const closed = stream.closed ? undefined : once(stream, 'close');
    stream.end();
    await closed;
    life.must(stream.rstCode === 0, `the stream of a tunnel ended with ${stream.rstCode}`);
  });
  await streams.close();
}

/** A tunnel that the proxy reads: requests in it need no credentials, and go where the route says. */
function readTunnel(life) {
  return inTunnel(life, (connection) => connection);
}

/** The same under TLS, of which the proxy is the other end. */
function readTls(life) {
  return inTunnel(life, (connection) => within(connection, life.ca));
}

async function inTunnel(life, begin) {
  const outer = await life.open1();
  life.asked += 1;
  await outer.write(connectLine(LOCAL, life.who.proof));
  const opened = await outer.answer({ bodiless: true });
  life.opens(opened?.status);
  const connection = await begin(outer);
  for (let left = life.dice.between(1, 6); left > 0; left -= 1) {
    const made = life.next();
    await connection.write(bytesOf1(life.dice, made, { inside: true }));
    life.check(made, await answerTo(connection, made));
  }
  connection.destroy();
}

/** A WebSocket: the server's own answer comes, and what is sent comes back. */
async function webSocket(life) {
  const target = life.who.route === undefined ? `127.0.0.1:${life.servers.plain}` : LOCAL;
  const forbidden = life.dice.once(4);
  const made = life.next((dice, id, who, ports) => ({
    ...ask(dice, id, who, ports, { kind: 'none' }), kind: 'websocket', target, path: forbidden ? '/forbidden' : '/echo', expect: { status: forbidden ? 403 : 101 }, theirs: forbidden,
  }));
  const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`];
  const connection = await life.open1();
  await connection.write(Buffer.concat([bytesOf1(life.dice, made).subarray(0, -2), Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)]));
  const answer = await connection.answer({ bodiless: !forbidden });
  life.check(made, answer && { ...answer, complete: true });
  if (answer.status === 101) await echoed(life, (piece) => void connection.write(piece), (length) => bytesFrom(connection, length), async () => {
    connection.finish();
    await connection.end();
  });
  connection.destroy();
}

/** One that is asked for on a stream (RFC 8441). */
function webSocketOnStream(life) {
  const made = life.next((dice, id, who, ports) => ({ ...ask(dice, id, who, ports, { kind: 'none' }), kind: 'websocket' }));
  life.asked -= 1;
  life.settle(made, MAYBE);
  return tunnelledOnStream(life, { ':protocol': 'websocket', ':scheme': 'http', ':path': '/echo', 'sec-websocket-version': '13', ...made.fields }, made.target);
}

/** Leaves in a request, before its answer, in it, or in a tunnel; by FIN or by a reset. */
async function vanishes(life) {
  const connection = await life.open1();
  const made = life.next(life.dice.pick([ask, download, stalled]));
  const bytes = bytesOf1(life.dice, made);
  const cut = life.dice.once(2) ? bytes.length : life.dice.between(1, bytes.length);
  await connection.write(bytes.subarray(0, cut));
  if (made.kind === 'long' && cut === bytes.length) await connection.answer({ upTo: life.dice.between(1, 200_000) });
  else if (life.dice.once(2)) await sleep(life.dice.between(0, 30));
  leave(life.dice, connection.socket);
  life.giveUp();
}

/** The same with streams: one of them, or all with their connection. */
async function vanishesOnStreams(life) {
  const streams = await life.open2();
  const all = Array.from({ length: life.dice.between(1, 8) }, () => life.next(life.dice.pick([ask, download, stalled])));
  const answers = all.map((made) => {
    const stream = streams.begin(made);
    if (life.dice.once(2)) setTimeout(() => stream.close(8), life.dice.between(0, 40));
    return answerOf(stream, { upTo: 1000 });
  });
  await Promise.race([Promise.all(answers), sleep(life.dice.between(0, 60))]);
  life.giveUp();
}

/** Its context is released while it waits, and what it waits for is cut; its credentials are worth nothing then. */
async function released(life) {
  const connection = await life.open1();
  const made = life.next(life.dice.once(2) ? stalled : download);
  await connection.write(bytesOf1(life.dice, made));
  await sleep(life.dice.between(0, 40));
  await life.proxy.does('release', { place: life.place, id: life.who.id });
  // A download may have ended before; what was on its way may come.
  const answer = await connection.answer();
  if (answer?.status === 504 && life.late) throw new Late('a release');
  if (made.kind === 'stall') life.must(answer === undefined || answer.status === 407, `the context was released, and its request was answered with ${answer?.status}`);
  life.giveUp();
  const again = await life.open1();
  const late = life.next();
  await again.write(bytesOf1(life.dice, late));
  const refused = await answerTo(again, late);
  late.expect = { status: 407 };
  late.unseen = true;
  life.check(late, refused);
  again.destroy();
}

/** What is no request is answered as such, and ends its connection. */
async function malformed(life) {
  const connection = await life.open1();
  await connection.write(Buffer.from(life.dice.pick(MALFORMED)(`127.0.0.1:${life.servers.plain}`), 'latin1'));
  const answer = await connection.answer();
  life.must(answer !== undefined && answer.status >= 400 && answer.close, `what is no request was answered with ${answer?.status}`);
  life.tally.kinds.malformed = (life.tally.kinds.malformed ?? 0) + 1;
  life.tally.statuses[answer.status] = (life.tally.statuses[answer.status] ?? 0) + 1;
  await connection.end();
  // Nobody can tell whose it was.
  life.asked = undefined;
}

/** Comes, says little, and leaves. */
async function leaves(life) {
  life.tally.opened += 1;
  await openAndLeave(life.dice, life.port);
}

/** How often each is done; those of the second list lead where only contexts without a route get, of the third where only others do. */
export const ANYBODY = [[8, orderly], [4, pipelined], [8, multiplexed], [3, webSocket], [3, vanishes], [3, vanishesOnStreams], [2, released], [2, malformed], [1, leaves], [2, webSocketOnStream]];
export const UNROUTED = [...ANYBODY, [4, tunnelled], [4, tunnelledOnStream]];
export const ROUTED = [...ANYBODY, [4, readTunnel], [4, readTls]];
