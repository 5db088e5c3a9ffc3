// One upload and one download over a raw socket, and the process that serves them.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

export const MIB = 2 ** 20;
const PIECE = Buffer.alloc(256 * 1024, 'x');

/** Starts `server.mjs`: { port, rss(), cpuMs(), end() }. */
export async function serve(kind, { driver, rate, tls = false } = {}) {
  const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [kind, ...(rate === undefined ? [] : [String(rate)])], { env: { ...process.env, ...(driver === undefined ? {} : { FASTTUNNEL_DRIVER: driver }), ...(tls ? { FASTTUNNEL_BENCH_TLS: '1' } : {}) } });
  const { port } = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    port,
    pid: child.pid,
    pid: child.pid,
    /** Bytes of memory that the process has in use. */
    rss: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * 1024,
    /** Processor time of all its threads. The clock of /proc ticks 100 times a second. */
    cpuMs() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    async end() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The JSON behind a head, by itself or as a chunk. */
const ANSWER = /\r\n\r\n(?:[0-9a-f]+\r\n)?(\{.*\})/s;

const head = (task, lines) => `POST /__runner/task/${task} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n${lines}\r\n`;

function connect(port) {
  const socket = net.connect({ port, host: '127.0.0.1', highWaterMark: 256 * 1024 });
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends `bytes` as fast as they are taken; the answer's body. */
export async function upload(port, task, bytes) {
  const socket = await connect(port);
  let text = '';
  const answered = new Promise((resolve, reject) => {
    socket.on('data', (chunk) => {
      text += chunk;
      if (ANSWER.test(text)) resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed early: ${text}`)));
  });
  socket.write(head(task, `Content-Length: ${bytes}\r\n`));
  for (let left = bytes; left > 0; left -= PIECE.length) {
    if (!socket.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), answered]);
    }
  }
  await answered;
  socket.destroy();
  return JSON.parse(ANSWER.exec(text)[1]).result;
}

/** Reads an answer of `bytes` bytes, as fast as it comes or no faster than a rate; how many came. */
export async function download(port, bytes, bytesPerSecond) {
  const socket = await connect(port);
  socket.write(head('source', `x-bytes: ${bytes}\r\nContent-Length: 0\r\n`));
  const started = performance.now();
  let received = 0;
  // Of the framing only its end is looked at: it is the body that is counted, near enough.
  await new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${received} bytes`)));
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (chunk.length >= 5 ? chunk.subarray(-5).equals(LAST) : received > bytes && chunk.at(-1) === 10) return resolve();
      const earlyMs = bytesPerSecond === undefined ? 0 : (received / bytesPerSecond) * 1000 - (performance.now() - started);
      if (earlyMs > 1) {
        socket.pause();
        setTimeout(() => socket.resume(), earlyMs);
      }
    });
  });
  socket.destroy();
  return received;
}

const LAST = Buffer.from('0\r\n\r\n');
