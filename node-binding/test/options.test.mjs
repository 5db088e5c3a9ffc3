// Every option is checked when it is given: the error names the option, the value and the fix.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { fastTunnel, OptionError, TunnelServer } from 'fasttunnel';

const auth = { token: 's3cret' };
const fn = () => {};

/** [what, options, option path, text that the message must hold] */
const REFUSED = [
  ['nothing at all', undefined, 'auth', /auth\.token.*auth\.allowAnonymous/],
  ['no auth', { port: 0 }, 'auth', /auth\.token.*auth\.allowAnonymous/],
  ["the issue's class example", { port: 7070, basePath: '/__runner', corsOrigins: ['*'] }, 'auth', /auth\.token.*auth\.allowAnonymous/],
  ['empty auth', { auth: {} }, 'auth', /auth\.token.*auth\.allowAnonymous/],
  ['only a header', { auth: { header: 'x-key' } }, 'auth', /auth\.allowAnonymous/],
  ['a missing environment variable', { auth: { token: undefined } }, 'auth', /environment variable/],
  ['anonymous refused', { auth: { allowAnonymous: false } }, 'auth', /auth\.token/],
  ['an empty token', { auth: { token: '' } }, 'auth.token', /empty/],
  ['an empty token in a list', { auth: { token: ['a', ''] } }, 'auth.token[1]', /empty/],
  ['no token in the list', { auth: { token: [] } }, 'auth.token', /at least one/],
  ['a numeric token', { auth: { token: 42_424_242 } }, 'auth.token', /must be a string, not number/],
  ['a token with blanks around', { auth: { token: ' a ' } }, 'auth.token', /blanks/],
  ['a token outside latin-1', { auth: { token: 'snow\u2603man' } }, 'auth.token', /header can carry/],
  ['a token with a line break', { auth: { token: 'a\r\nb' } }, 'auth.token', /header can carry/],
  ['a header with a colon', { auth: { token: 'a', header: 'x:y' } }, 'auth.header', /name of a request header.*'x:y'/],
  ['a header of HTTP itself', { auth: { token: 'a', header: 'Content-Length' } }, 'auth.header', /HTTP itself/],
  ['allowAnonymous as text', { auth: { allowAnonymous: 'true' } }, 'auth.allowAnonymous', /true or false, got 'true'/],
  ['auth as text', { auth: 'token' }, 'auth', /must be an object, not a string, got \(hidden\)/],

  ['an unknown option', { auth, prot: 1 }, 'prot', /Did you mean port\?/],
  ['a swapped letter', { auth, baesPath: '/x' }, 'baesPath', /Did you mean basePath\?/],
  ['an option of elsewhere', { auth, token: 'x' }, 'token', /Did you mean auth\.token\?/],
  ['something nobody knows', { auth, zzzzzz: 1 }, 'zzzzzz', /Known options: port, host/],
  ['an unknown auth key', { auth: { tokne: 'x' } }, 'auth.tokne', /Did you mean auth\.token\?/],
  ['an unknown limit', { auth, limits: { maxBodyBites: 1 } }, 'limits.maxBodyBites', /Did you mean limits\.maxBodyBytes\?/],
  ['options as an array', [], 'options', /must be an object/],
  ['options as a string', '7070', 'options', /must be an object, not a string/],

  ['a port as text', { auth, port: '7070' }, 'port', /0 to 65535.*'7070'.*Number/],
  ['a port too high', { auth, port: 65_536 }, 'port', /got 65536/],
  ['a negative port', { auth, port: -1 }, 'port', /got -1/],
  ['half a port', { auth, port: 1.5 }, 'port', /integer/],
  ['NaN as port', { auth, port: NaN }, 'port', /got NaN/],
  ['null as port', { auth, port: null }, 'port', /got null/],
  ['a host in brackets', { auth, host: '[::1]' }, 'host', /Write '::1'/],
  ['a host with a zone', { auth, host: 'fe80::1%lo' }, 'host', /host name or an IP address/],
  ['a host with a scheme', { auth, host: 'http://a' }, 'host', /host name or an IP address/],
  ['an empty host', { auth, host: '' }, 'host', /got ''/],
  ['port and socketPath', { auth, port: 0, socketPath: '/tmp/x' }, 'port', /socketPath/],
  ['host and socketPath', { auth, host: '::1', socketPath: '/tmp/x' }, 'host', /socketPath/],
  ['an empty socket path', { auth, socketPath: '' }, 'socketPath', /Unix domain socket/],
  ['an abstract socket', { auth, socketPath: '\0x' }, 'socketPath', /Unix domain socket/],
  ['an admin port alone', { auth, admin: 7071 }, 'admin', /must be an object/],
  ['an admin port too high', { auth, admin: { port: 65_536 } }, 'admin.port', /0 to 65535/],
  ['an admin host in brackets', { auth, admin: { host: '[::1]' } }, 'admin.host', /Write '::1'/],
  ['an admin port and path', { auth, admin: { port: 1, socketPath: '/tmp/x' } }, 'admin.port', /Leave out admin\.port or admin\.socketPath/],
  ['a dashboard that is no boolean', { auth, admin: { dashboard: 'yes' } }, 'admin.dashboard', /must be a boolean|true or false/],
  ['an unknown admin key', { auth, admin: { prot: 1 } }, 'admin.prot', /Did you mean admin\.port\?/],
  ['an unknown signal', { auth, gracefulSignals: ['SIGHUP'] }, 'gracefulSignals', /'SIGTERM' and 'SIGINT', got \[ 'SIGHUP' \]/],
  ['a signal alone', { auth, gracefulSignals: 'SIGTERM' }, 'gracefulSignals', /list/],
  ['a delay too long', { auth, gracefulSignals: true, readinessDelayMs: 600_001 }, 'readinessDelayMs', /0 to 600000/],
  ['a delay after no signal', { auth, readinessDelayMs: 100 }, 'readinessDelayMs', /Set gracefulSignals/],
  ['a long socket path', { auth, socketPath: `/tmp/${'x'.repeat(120)}` }, 'socketPath', /107 bytes/],
  ['no shards', { auth, shards: -1 }, 'shards', /0 to 64/],
  ['an unknown driver', { auth, driver: 'iouring' }, 'driver', /'io_uring'.*Did you mean 'io_uring'\?/],
  ['a backlog of nothing', { auth, backlog: 0 }, 'backlog', /1 to 65535/],

  ['a numeric base path', { auth, basePath: 5 }, 'basePath', /must be a string, got 5/],
  ['a query', { auth, basePath: '/a?b' }, 'basePath', /'\?'/],
  ['a fragment', { auth, basePath: '/a#b' }, 'basePath', /'#'/],
  ['dots', { auth, basePath: '/a/../b' }, 'basePath', /'\.\.' segments/],
  ['encoded dots', { auth, basePath: '/a/%2e%2E/b' }, 'basePath', /'\.\.' segments/],
  ['a doubled slash', { auth, basePath: '/a//b' }, 'basePath', /empty segments.*\/a\/b/],
  ['two trailing slashes', { auth, basePath: '/a//' }, 'basePath', /empty segments/],
  ['a backslash', { auth, basePath: '\\a' }, 'basePath', /backslash/],
  ['a control character', { auth, basePath: '/a\nb' }, 'basePath', /printable ASCII/],
  ['a blank', { auth, basePath: '/a b' }, 'basePath', /printable ASCII/],
  ['an umlaut', { auth, basePath: '/ä' }, 'basePath', /printable ASCII/],
  ['a broken escape', { auth, basePath: '/a%2' }, 'basePath', /hex digits/],

  ['an origin with a path', { auth, cors: { origin: ['https://a.example/x'] } }, 'cors.origin[0]', /An origin is/],
  ['an origin with a slash', { auth, cors: { origin: 'https://a.example/' } }, 'cors.origin', /Write 'https:\/\/a\.example'/],
  ['an origin in capitals', { auth, cors: { origin: ['https://A.example'] } }, 'cors.origin[0]', /Write 'https:\/\/a\.example'/],
  ['an origin with the default port', { auth, corsOrigins: ['https://a.example:443'] }, 'corsOrigins[0]', /Write 'https:\/\/a\.example'/],
  ['an origin without scheme', { auth, corsOrigins: ['a.example'] }, 'corsOrigins[0]', /scheme/],
  ['a header injected by an origin', { auth, cors: { origin: 'https://a\r\nx: y' } }, 'cors.origin', /must be an origin/],
  ['a regular expression', { auth, cors: { origin: /x/ } }, 'cors.origin', /list them/],
  ['any origin in a list', { auth, cors: { origin: ['*'] } }, 'cors.origin[0]', /origin: '\*'/],
  ['any origin and another', { auth, corsOrigins: ['*', 'https://a.example'] }, 'corsOrigins', /without '\*'/],
  ['corsOrigins as text', { auth, corsOrigins: '*' }, 'corsOrigins', /array/],
  ['both forms of CORS', { auth, cors: {}, corsOrigins: [] }, 'corsOrigins', /Keep one/],
  ['credentials for everybody', { auth, cors: { origin: '*', credentials: true } }, 'cors.origin', /browsers refuse/],
  ['a method with a blank', { auth, cors: { methods: ['PO ST'] } }, 'cors.methods[0]', /HTTP method/],
  ['a header with a line break', { auth, cors: { exposedHeaders: ['a\r\nb'] } }, 'cors.exposedHeaders[0]', /header name/],
  ['a negative maxAge', { auth, cors: { maxAge: -1 } }, 'cors.maxAge', /got -1/],

  ['a body limit too high', { auth, limits: { maxBodyBytes: 2 ** 31 } }, 'limits.maxBodyBytes', /268435456/],
  ["Runner's name of it", { auth, limits: { json: { maxSize: -1 } } }, 'limits.json.maxSize', /got -1/],
  ['both names of it', { auth, limits: { maxBodyBytes: 1, json: { maxSize: 1 } } }, 'limits.json.maxSize', /Keep one/],
  ['a head limit too high', { auth, limits: { maxHeadBytes: 65_537 } }, 'limits.maxHeadBytes', /65536/],
  ['a head without time limit', { auth, limits: { headTimeoutMs: 0 } }, 'limits.headTimeoutMs', /got 0/],
  ['no calls', { auth, limits: { maxCallsInFlight: 0 } }, 'limits.maxCallsInFlight', /got 0/],
  ['an infinite handler time', { auth, handlerTimeoutMs: Infinity }, 'handlerTimeoutMs', /got Infinity/],
  ['handlerTimeoutMs twice', { auth, handlerTimeoutMs: 1, limits: { handlerTimeoutMs: 1 } }, 'handlerTimeoutMs', /Keep one/],
  ['a negative file size', { auth, limits: { multipart: { fileSize: -1 } } }, 'limits.multipart.fileSize', /from 0, got -1\. Infinity/],
  ['files as text', { auth, limits: { multipart: { files: '3' } } }, 'limits.multipart.files', /got '3'/],
  ['NaN fields', { auth, limits: { multipart: { fields: NaN } } }, 'limits.multipart.fields', /got NaN/],
  ['a name limit that is none', { auth, limits: { multipart: { fieldNameSize: 'x' } } }, 'limits.multipart.fieldNameSize', /from 0/],
  ['an unknown multipart limit', { auth, limits: { multipart: { fileSizes: 1 } } }, 'limits.multipart.fileSizes', /Did you mean limits\.multipart\.fileSize\?/],
  ['a multipart limit by another name', { auth, limits: { multipart: { maxFileSize: 1 } } }, 'limits.multipart.maxFileSize', /Did you mean limits\.multipart\.fileSize\?/],
  ['a multipart limit one level up', { auth, limits: { fileSize: 1 } }, 'limits.fileSize', /Did you mean limits\.multipart\.fileSize\?/],
  ['multipart limits at the top', { auth, multipart: {} }, 'multipart', /Did you mean limits\.multipart\?/],
  ['multipart as a number', { auth, limits: { multipart: 5 } }, 'limits.multipart', /must be an object/],
  ['an empty directory', { auth, tempDir: '' }, 'tempDir', /path of a directory/],
  ['a directory as a number', { auth, tempDir: 5 }, 'tempDir', /path of a directory/],
  ['limits as a number', { auth, limits: 5 }, 'limits', /must be an object/],

  ['a task that is no function', { auth, tasks: { 'app.add': 5 } }, 'tasks["app.add"]', /must be a function, got 5/],
  ['an event that is no function', { auth, events: { 'app.e': [fn, null] } }, 'events["app.e"][1]', /must be a function, got null/],
  ['an event without handlers', { auth, events: { 'app.e': [] } }, 'events["app.e"]', /at least one/],
  ['an empty task id', { auth, tasks: { '': fn } }, 'task id', /empty/],
  ['a dot as id', { auth, tasks: { '..': fn } }, 'task id', /dot segment/],
  ['half a character as id', { auth, events: { 'a\ud800': fn } }, 'event id', /well-formed/],
  ['tasks as a list', { auth, tasks: [fn] }, 'tasks', /object from ids to functions/],
  ['tasks as a Map', { auth, tasks: new Map([['a', fn]]) }, 'tasks', /object from ids to functions/],
  ['half a serializer', { auth, serializer: { parse: fn } }, 'serializer', /parse\(text\) and stringify\(value\)/],
  ['onError as text', { auth, onError: 'log' }, 'onError', /must be a function/],
];

describe('options that are refused', () => {
  for (const [what, options, option, message] of REFUSED) {
    it(what, async () => {
      const check = (error) => {
        assert.ok(error instanceof OptionError, `${error}`);
        assert.ok(error instanceof TypeError);
        assert.equal(error.code, 'FASTTUNNEL_BAD_OPTION');
        assert.equal(error.option, option);
        assert.match(error.message, message);
        assert.ok(error.message.includes(option), `the message names ${option}: ${error.message}`);
        return true;
      };
      assert.throws(() => new TunnelServer(options), check);
      await assert.rejects(fastTunnel(options), check);
    });
  }

  it('never prints a token that was given in the wrong place', () => {
    class Settings { auth = { token: 's3cret' }; }
    class Auth { token = 's3cret'; }
    for (const broken of ['s3cret', { auth: 's3cret' }, { auth: ['s3cret'] }, { auth: new Auth() }, { auth: new Map([['token', 's3cret']]) }, new Settings(), [['s3cret']], Object.assign(() => {}, { auth: 's3cret' })]) {
      assert.throws(() => new TunnelServer(broken), (error) => {
        assert.equal(error.name, 'OptionError');
        assert.ok(!/s3cret/.test(inspect(error)), inspect(error));
        return true;
      });
    }
  });

  it('never prints a token', () => {
    for (const broken of [{ token: 's3cret\n' }, { token: 's3cret ' }, { token: ['s3cret\u0100'] }, { tokne: 's3cret' }, { token: { s3cret: 1 } }]) {
      assert.throws(() => new TunnelServer({ auth: broken }), (error) => {
        assert.ok(!/s3cret/.test(`${error.stack} ${JSON.stringify(error)}`), error.stack);
        return error.value === '(hidden)' && error.message.length > 20;
      });
    }
  });
});

describe('options that are accepted', () => {
  const ACCEPTED = [
    ['a token', { auth }],
    ['several tokens', { auth: { token: ['a', 'b'], header: 'Authorization' } }],
    ['a latin-1 token', { auth: { token: 'schl\u00fcssel' } }],
    ['everybody', { auth: { allowAnonymous: true } }],
    ['a base path without slash', { auth, basePath: 'x' }],
    ['a base path with a trailing slash', { auth, basePath: '/x/y/' }],
    ['an encoded base path', { auth, basePath: '/%5F' }],
    ['any origin', { auth, corsOrigins: ['*'] }],
    ['no origin', { auth, corsOrigins: [] }],
    ['every form of origin', { auth, cors: { origin: ['https://a.example', 'http://localhost:3000', 'http://[::1]:8080', 'null', 'app://x'] } }],
    ['all limits', { auth, limits: { maxHeadBytes: 65_536, maxBodyBytes: 0, maxConnections: 0, handlerTimeoutMs: 0, drainTimeoutMs: 0, keepAliveHintS: 0 } }],
    ['multipart limits', { auth, limits: { multipart: { fileSize: Infinity, files: 0, fields: 1.5, fieldSize: 1, parts: 5, fieldNameSize: 1, headerPairs: 1 } }, tempDir: '/tmp' }],
    ["Runner's body limit", { auth, limits: { json: { maxSize: 1024 } } }],
    ['flat time limits', { auth, handlerTimeoutMs: 5, drainTimeoutMs: 5 }],
    ['undefined for every option', { auth, port: undefined, host: undefined, cors: undefined, limits: undefined, tasks: undefined }],
    ['an object without prototype', Object.assign(Object.create(null), { auth, tasks: Object.assign(Object.create(null), { a: fn }) })],
  ];
  for (const [what, options] of ACCEPTED) {
    it(what, () => {
      assert.ok(new TunnelServer(options) instanceof TunnelServer);
    });
  }
});

describe('registering', () => {
  it('lists ids in order and refuses a task twice', () => {
    const server = new TunnelServer({ auth, tasks: { 'b.task': fn }, events: { 'b.event': [fn, fn] } });
    server.registerTask('a.task', fn).registerEvent('a.event', fn).registerEvent('b.event', fn);
    assert.deepEqual(server.getTaskIds(), ['b.task', 'a.task']);
    assert.deepEqual(server.getEventIds(), ['b.event', 'a.event']);
    assert.throws(() => server.registerTask('a.task', fn), { name: 'DuplicateTaskError', code: 'FASTTUNNEL_DUPLICATE_TASK', id: 'a.task' });
    assert.throws(() => server.registerTask('c', 'text'), { name: 'OptionError', message: /must be a function, got 'text'/ });
    assert.throws(() => server.registerEvent('', fn), { name: 'OptionError', message: /event id/ });
    assert.equal(server.unregisterTask('a.task'), true);
    assert.equal(server.unregisterTask('a.task'), false);
    assert.equal(server.unregisterEvent('b.event', () => {}), false);
    assert.equal(server.unregisterEvent('b.event', fn), true);
    assert.deepEqual(server.getEventIds(), ['b.event', 'a.event']);
    assert.equal(server.unregisterEvent('b.event'), true);
    assert.deepEqual(server.getEventIds(), ['a.event']);
  });

  it('says when something comes too early or too late', async () => {
    const server = new TunnelServer({ auth });
    for (const what of ['port', 'url', 'driver']) assert.throws(() => server[what], { code: 'FASTTUNNEL_NOT_LISTENING', message: /listen\(\)/ });
    await server.close();
    await server.close();
    await assert.rejects(server.listen(), { name: 'ClosedError', code: 'FASTTUNNEL_CLOSED' });
    assert.throws(() => server.registerTask('a', fn), { name: 'ClosedError' });
    assert.throws(() => server.stats(), { name: 'ClosedError' });
  });
});
