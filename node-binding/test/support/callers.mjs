// Who calls: what a handler tells of its caller, and headers of the PROXY protocol.

/** What a handler tells of its caller. */
export function callerOf({ remoteAddress, remotePort, protocol, host, httpVersion }) {
  return { address: remoteAddress ?? null, port: remotePort ?? null, protocol: protocol ?? null, host, version: httpVersion };
}

export const tasks = { caller: (_input, context) => callerOf(context), add: ({ a, b }) => a + b };

/** A line of version 1. */
export const line = (source, port) => `PROXY ${source.includes(':') ? 'TCP6' : 'TCP4'} ${source} ${source.includes(':') ? '::1' : '127.0.0.1'} ${port} 443\r\n`;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A header of version 2, of a client with an address of IPv4; `fields` follow its addresses. */
export function binary(source, port, { command = 0x21, fields = Buffer.alloc(0) } = {}) {
  const content = Buffer.concat([Buffer.from(source.split('.').map(Number)), Buffer.from([127, 0, 0, 1, port >> 8, port & 0xff, 1, 0xbb]), fields]);
  return Buffer.concat([SIGNATURE, Buffer.from([command, 0x11, content.length >> 8, content.length & 0xff]), content]);
}

/** The field that says that the client speaks TLS to the balancer. */
export const OVER_TLS = Buffer.from([0x20, 0, 5, 1, 0, 0, 0, 0]);
