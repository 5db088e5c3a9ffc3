// What a server says of a connection though nobody has asked, and what a client finds out by itself: whether a call was read.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTICE_OPTION } from '../dist/cjs/facts/facts.generated.js';
import { scripted } from './support/scripted-client.mjs';
import { answerTo } from './support/scripted-server.mjs';
import { sleep, until } from './support/tunnels.mjs';

const NOTICE = 'HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n';
const echo = (request, socket) => socket.write(answerTo(request, request.input));
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));
const asks = (connection) => connection.chunks.join('').split(NOTICE_OPTION).length - 1;

/** Echoes, until `over` says that a request has crossed the server's end; notes what has run. */
function leaving(over) {
  const ran = [];
  const onRequest = (request, socket, connection) => {
    if (connection.left) return;
    if (over(request, connection)) {
      connection.left = true;
      socket.end(NOTICE);
      return;
    }
    ran.push(request.input);
    echo(request, socket);
  };
  return { ran, onRequest };
}

describe('a notice that no further request is read', () => {
  it('is asked for once on each connection, of a server that is known to give it', () => scripted(echo, { pipelining: 4, connections: 2 }, async (client, server) => {
    await client.task('t', 0);
    assert.equal(asks(server.connections[0]), 0);
    await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
    for (let round = 0; round < 3; round++) await Promise.all(times(8, (index) => client.task('t', index)));
    assert.deepEqual(server.connections.map(asks), server.connections.map(() => 1));
  }));

  it('sends the calls that cross it elsewhere, without a limit, and each runs once', () => {
    const { ran, onRequest } = leaving(({ input }, { requests, number }) => input >= 0 && requests > 2 + number % 3);
    return scripted(onRequest, { pipelining: 8, connections: 4, retries: 0 }, async (client) => {
      await client.task('t', -1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      const numbers = times(200, (index) => index);
      assert.deepEqual(await Promise.all(numbers.map((number) => client.task('t', number))), numbers);
      assert.deepEqual(ran.filter((input) => input >= 0).sort((one, other) => one - other), numbers);
      assert.ok(client.stats().retries > 20);
    });
  });

  it('among ends of every other kind runs no call twice, and each call ends as it has gone', () => {
    const runs = new Map();
    let count = 0;
    const ends = {
      notice: (_answer, socket) => socket.end(NOTICE),
      'notice in pieces': (_answer, socket) => { for (const piece of NOTICE.match(/[^]{1,20}/g)) socket.write(piece); socket.end(); },
      last: (answer, socket) => socket.end(answer('close')),
      lost: (_answer, socket) => socket.destroy(),
      reset: (answer, socket) => { socket.write(answer().slice(0, 60)); socket.resetAndDestroy(); },
      silence: () => {},
    };
    return scripted((request, socket, connection) => {
      if (connection.left) return;
      const answer = (how = 'keep-alive\r\nKeep-Alive: timeout=5') => answerTo(request, request.input, { connection: how });
      const end = request.input >= 0 && count++ % 40 === 39 ? Object.keys(ends)[((count / 40) | 0) % 6] : undefined;
      connection.left = end !== undefined;
      if (!end?.startsWith('notice')) runs.set(request.input, (runs.get(request.input) ?? 0) + 1);
      if (end === undefined) socket.write(answer());
      else ends[end](answer, socket);
    }, { timeoutMs: 400, retries: 0, pipelining: 8, connections: 16 }, async (client) => {
      await client.task('t', -1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      await Promise.all(times(32, async (lane) => {
        for (let round = 0; round < 60; round++) {
          const n = lane * 100 + round;
          const error = await client.task('t', n).then((got) => assert.equal(got, n), (caught) => caught);
          const ran = runs.get(n) ?? 0;
          if (error === undefined) assert.equal(ran, 1, `call ${n} has run ${ran} times`);
          else assert.ok(ran <= 1 && (error.maybeRan || ran === 0), `call ${n}: ${error.code}, ran ${ran} times`);
        }
      }));
      const { failed, timedOut, results, retries, servers } = client.stats();
      assert.equal(servers[0].kind, 'fasttunnel');
      assert.ok(failed > 0 && timedOut > 0 && results > 1500 && retries > 5, JSON.stringify({ failed, timedOut, results, retries }));
    });
  });

  it('costs nothing where nothing crosses it, and the next call does not take it for its answer', () => scripted((request, socket) => {
    echo(request, socket);
    if (request.input === 'last') socket.end(NOTICE);
  }, { pipelining: 1 }, async (client, server) => {
    for (let round = 0; round < 3; round++) {
      assert.equal(await client.task('t', 'last'), 'last');
      assert.equal(await client.task('t', round), round);
    }
    assert.ok(server.connections.length > 3);
    assert.equal(client.stats().retries, 0);
  }));

  it('says nothing where it may be of another: calls that cross it may have run', () => {
    const { onRequest } = leaving(({ input }) => input === 'cross');
    return scripted(onRequest, { pipelining: 1 }, async (client, server) => {
      await client.task('t', 1);
      await until(() => client.stats().servers[0].kind === 'other', 'it is known');
      await assert.rejects(client.task('t', 'cross'), { code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true, message: /waited for a request/ });
      assert.equal(server.connections.reduce((sum, connection) => sum + asks(connection), 0), 0);
    }, { isOurs: false });
  });

  it('is none with content: that may be of something between, and calls behind it may have run', () => {
    const { onRequest } = leaving(({ input }) => input === 'cross');
    return scripted((request, socket, connection) => {
      if (request.input !== 'cross') return onRequest(request, socket, connection);
      socket.end(NOTICE.replace('content-length: 0', 'content-length: 2') + 'no');
    }, { pipelining: 1 }, async (client) => {
      await client.task('t', 1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      await client.task('t', 2);
      await assert.rejects(client.task('t', 'cross'), { code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true });
    });
  });

  it('with the id of the request is the answer to it', () => scripted((request, socket) => socket.write(answerTo(request, undefined, { status: '408 Request Timeout', body: '{"ok":false,"error":{"message":"slow","code":"SLOW"}}', connection: 'close' })), {}, async (client) => {
    await assert.rejects(client.task('t'), { name: 'RemoteError', code: 'SLOW', status: 408 });
  }));

  it('as the first that a connection says is the answer to its request', () => scripted((_request, socket) => socket.end(NOTICE), {}, async (client) => {
    await assert.rejects(client.task('t'), { name: 'RemoteError', code: 'HTTP_ERROR', status: 408 });
  }));
});

describe('a machine that sleeps', () => {
  it('does not use connections that its server has ended meanwhile, though its clock has stood still', async () => {
    const { now } = Date;
    await scripted(echo, { pipelining: 1 }, async (client) => {
      await client.task('t', 1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      const { opened } = client.stats().servers[0];
      const openedBy = async () => {
        await client.task('t', 2);
        return client.stats().servers[0].opened - opened;
      };
      try {
        // Less than the server keeps a connection, then more.
        Date.now = () => now() + 1500;
        assert.equal(await openedBy(), 0);
        Date.now = () => now() + 7500;
        assert.equal(await openedBy(), 1);
        // A clock that is set back says nothing.
        Date.now = now;
        assert.equal(await openedBy(), 1);
      } finally {
        Date.now = now;
      }
    });
  });

  it('leaves calls that are under way the time that they have', () => scripted((request, socket) => setTimeout(echo, 50, request, socket), { pipelining: 1, timeoutMs: 2000 }, async (client) => {
    const { now } = Date;
    try {
      const slow = client.task('t', 1);
      await sleep(10);
      Date.now = () => now() + 60_000;
      assert.deepEqual(await Promise.all([slow, client.task('t', 2)]), [1, 2]);
    } finally {
      Date.now = now;
    }
  }));
});

describe('content in a coding', () => {
  const coded = (request, socket) => socket.write(answerTo(request, 1, { lines: 'Content-Encoding: gzip\r\n' }));

  it('that nobody has asked for is named, with streams or without', () => scripted(coded, {}, async (client) => {
    const expected = { name: 'RemoteError', code: 'INVALID_RESPONSE', message: /Content-Encoding "gzip"/ };
    await assert.rejects(client.task('t'), expected);
    await assert.rejects(client.task('t', undefined, { body: '{}' }), expected);
  }));

  it('that is none is read', () => scripted((request, socket) => socket.write(answerTo(request, 1, { lines: 'Content-Encoding: identity\r\n' })), {}, async (client) => {
    assert.equal(await client.task('t'), 1);
  }));
});
