// What is asked of a proxy, and what has to come back.
import { chunked } from '../soak/exchanges.mjs';
import { digestOf, patternOf } from '../soak/pattern.mjs';

/** A workspace of either kind; with one, `LOCAL` leads there. */
export const LOCAL = 'localhost:5173';
export const ROUTES = [{ morphId: 'abc', scope: 'base', domainSuffix: 'one.test' }, { morphId: 'abc', scope: 'base', domainSuffix: 'two.test' }];

/** Where requests end up: the host that servers have to be told. */
const hostOf = (target, route) => (target === LOCAL && route !== undefined ? `cmux-${route.morphId}-${route.scope}-5173.${route.domainSuffix}` : target);

const bytesOf = (dice) => dice.between(0, dice.once(6) ? 300_000 : 4000);

/** How each is made: method, path, content, and what is expected. */
const KINDS = {
  small: (dice, id) => get('small', bytesOf(dice), id),
  chunked: (dice, id) => get('chunked', bytesOf(dice), id),
  hints: (dice, id) => get('hints', dice.between(1, 100), id),
  late: (dice, id) => ({ ...get('late', dice.between(0, 100), id), expect: { status: 200, body: patternOf(id, 10) } }),
  head: (dice) => ({ method: 'HEAD', path: `/small/${bytesOf(dice)}`, expect: { status: 200, body: Buffer.alloc(0) } }),
  none: () => ({ method: 'GET', path: '/none', expect: { status: 204, body: Buffer.alloc(0) } }),
  upload: (dice, id) => {
    const content = patternOf(id, bytesOf(dice));
    return { method: 'PUT', path: '/digest', content, expect: { status: 200, body: Buffer.from(JSON.stringify(digestOf(content))) } };
  },
  through: (dice, id) => {
    const content = patternOf(id, bytesOf(dice));
    return { method: 'POST', path: '/through', content, expect: { status: 200, body: content } };
  },
  trailers: (dice, id) => {
    const content = patternOf(id, bytesOf(dice) + 1);
    return { method: 'POST', path: '/trailers', content, trailers: { 'x-sent': id }, expect: { status: 200, body: content, trailers: { 'x-back': id } } };
  },
};

/** Those that end badly. None of them may be repeated, so that each has content. */
const FAILURES = {
  reset: (_dice, id) => post('reset', id, 502),
  stall: (_dice, id) => post('stall', id, 504),
  partial: (dice, id) => ({ ...post('partial', id, 200), path: `/partial/${dice.between(1000, 100_000)}`, breaks: true }),
  nonsense: (_dice, id) => ({ ...post('nonsense', id, 502), server: 'nonsense', unseen: true }),
  gone: (_dice, id) => ({ ...post('gone', id, 502), server: 'gone', unseen: true }),
};

const REFUSALS = {
  denied: (_dice, id) => ({ ...post('small/1', id, 403), target: 'denied.test:8080', unseen: true }),
  port: (_dice, id) => ({ ...post('small/1', id, 403), target: 'elsewhere.test:22', unseen: true }),
  unproven: (_dice, id) => ({ ...post('small/1', id, 407), proof: 'dXNlcjpndWVzcw==', unseen: true }),
};

function get(path, size, id) {
  return { method: 'GET', path: `/${path}/${size}`, expect: { status: 200, body: patternOf(id, size) } };
}

function post(path, id, status) {
  return { method: 'POST', path: `/${path}`, content: patternOf(id, 20), expect: { status } };
}

/** A request. `who` is the context that asks: `{ proof, route }`. Without `fails`, one that is answered well. */
export function ask(dice, id, who, ports, { kinds = KINDS, kind = dice.pick(Object.keys(kinds)) } = {}) {
  const made = kinds[kind](dice, id);
  // With a route, what leads to loopback without it is of no use but for `LOCAL`.
  const target = made.target ?? (who.route === undefined || made.server !== undefined ? `127.0.0.1:${ports[made.server ?? 'plain']}` : LOCAL);
  const fields = { 'x-soak': id, 'x-host': hostOf(target, who.route), 'x-cmux-port-internal': '1' };
  return { kind, id, target, proof: who.proof, fields, ...made };
}

/** Fails, in a way that whoever has a route can see as well. Few stall: everybody would wait. */
export function failure(dice, id, who, ports) {
  const kind = dice.once(12) ? 'stall' : dice.pick(who.route === undefined ? ['reset', 'partial', 'nonsense', 'gone'] : ['reset', 'partial']);
  return ask(dice, id, who, ports, { kinds: FAILURES, kind });
}

export const refusal = (dice, id, who, ports) => ask(dice, id, who, ports, { kinds: REFUSALS });
/** A download that takes a while. */
export const download = (dice, id, who, ports) => ask(dice, id, who, ports, { kinds: { long: () => get('long', dice.between(200_000, 700_000), id) } });
export const stalled = (dice, id, who, ports) => ask(dice, id, who, ports, { kinds: FAILURES, kind: 'stall' });

/** As a request of HTTP/1.1; `inside` a tunnel it says neither who asks nor whom. */
export function bytesOf1(dice, { method, target, path, fields, content, trailers, proof }, { inside = false } = {}) {
  const inChunks = trailers !== undefined || (content !== undefined && content.length > 0 && dice.once(4));
  const lines = [
    `${method} ${inside ? '' : `http://${target}`}${path} HTTP/1.1`,
    `Host: ${target}`,
    ...(inside ? [] : [`Proxy-Authorization: Basic ${proof}`, 'Proxy-Connection: keep-alive']),
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    ...(content === undefined ? [] : [inChunks ? 'Transfer-Encoding: chunked' : `Content-Length: ${content.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), content === undefined ? Buffer.alloc(0) : inChunks ? chunked(dice, content, trailers) : content]);
}
