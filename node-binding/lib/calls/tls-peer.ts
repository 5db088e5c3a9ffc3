import { X509Certificate } from 'node:crypto';
import type { NativePeer } from '../native/addon.js';
import { altNamesOf } from '../options/alt-names.js';
import type { ClientCertificate, TlsPeer } from '../options/types.js';

/** What a handler sees of a client under TLS. The certificate is read when it is asked for. */
export class PeerOfCall implements TlsPeer {
  readonly protocol: TlsPeer['protocol'];
  readonly cipher: string;
  readonly servername: string | undefined;
  readonly alpnProtocol: string | undefined;
  readonly #der: Uint8Array | undefined;
  #client: ClientCertificate | undefined;

  constructor({ protocol, cipher, servername, alpnProtocol, certificate }: NativePeer) {
    this.protocol = protocol;
    this.cipher = cipher;
    this.servername = servername;
    this.alpnProtocol = alpnProtocol;
    this.#der = certificate;
  }

  get client(): ClientCertificate | undefined {
    if (this.#client === undefined && this.#der !== undefined) {
      const certificate = new X509Certificate(this.#der);
      this.#client = { certificate, subject: certificate.subject ?? '', altNames: altNamesOf(certificate.subjectAltName) };
    }
    return this.#client;
  }
}
