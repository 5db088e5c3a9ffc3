// Who asks the admin listener, as an orchestrator does.
import net from 'node:net';

/** GETs a path of the admin listener on a connection of its own: `{ status, text, ms }`; `status` 0 when nobody answers. */
export function probe(admin, path, timeoutMs = 5000) {
  return new Promise((resolve) => {
    const began = performance.now();
    const socket = admin.socketPath === undefined ? net.connect(admin.port, admin.host) : net.connect(admin.socketPath);
    let bytes = '';
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    socket.setEncoding('latin1').on('data', (text) => { bytes += text; });
    socket.on('error', () => {}).on('close', () => {
      clearTimeout(timer);
      const [head, text = ''] = bytes.split('\r\n\r\n');
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), text, ms: performance.now() - began });
    });
    socket.write(`GET ${path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n`);
  });
}

/** Asks for both every `everyMs`; `stop()` gives what came: `{ path, status, text, ms, at }`. */
export function startProbes(admin, everyMs = 50) {
  const answers = [];
  const began = performance.now();
  const ask = (path) => probe(admin, path).then((answer) => { answers.push({ path, at: performance.now() - began, ...answer }); });
  const under = [];
  // A test that fails must not hang on it.
  const timer = setInterval(() => under.push(ask('/livez'), ask('/readyz')), everyMs).unref();
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
      return answers;
    },
  };
}
