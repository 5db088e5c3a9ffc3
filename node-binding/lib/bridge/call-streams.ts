import type { Call } from '../calls/call.js';
import type { MakeBody } from '../calls/entry.js';
import { HEAD_REFUSED, hasContent } from '../calls/outcome.js';
import type { StreamAnswer } from '../calls/outcome.js';
import { FRAME, FRAME_CREDIT, FRAME_DATA, FRAME_END, FRAME_FILE, FRAME_FILE_END, FRAME_MANIFEST, FRAME_REFUSED } from '../facts/facts.generated.js';
import type { MultipartCall, MultipartPort } from '../forms/multipart-call.js';
import type { NativeTunnel } from '../native/addon.js';
import { BodyStream, connectionReset } from '../streams/body.js';
import type { BodyPort } from '../streams/body.js';
import { Outlet } from '../streams/outlet.js';
import type { OutletPort } from '../streams/outlet.js';

/** What the bridge does for streams. */
export interface StreamsHost {
  /** Native code has been given something that leaves with the next call to it. */
  given(): void;
  /** The call is to be answered with this failure. */
  fail(call: Call, error: unknown): void;
  /** It has failed, and it is too late for an answer. */
  report(error: unknown, call: Call): void;
}

const makeBody: MakeBody = (_call, port) => new BodyStream(port);
const EMPTY = Buffer.alloc(0);

/** The calls whose bodies or answers travel in pieces. All others cost nothing here. */
export class Streams {
  readonly #native: NativeTunnel;
  readonly #table: Uint32Array;
  readonly #host: StreamsHost;
  readonly #byTicket = new Map<number, CallStreams>();

  constructor(native: NativeTunnel, table: Uint32Array, host: StreamsHost) {
    this.#native = native;
    this.#table = table;
    this.#host = host;
  }

  /** A call has come whose body follows, at most so many bytes ahead of what is credited. */
  receive(call: Call, windowBytes: number, make: MakeBody = makeBody): void {
    const streams = this.#of(call);
    streams.setWindow(windowBytes);
    streams.body = call.body = make(call, streams);
  }

  /** A call has come whose body follows as a form. */
  receiveForm(call: Call, windowBytes: number, make: (port: MultipartPort) => MultipartCall): void {
    const streams = this.#of(call);
    streams.setWindow(windowBytes);
    streams.form = make(streams);
  }

  /** Answers a call, whose handler has settled. */
  send(call: Call, answer: StreamAnswer): void {
    this.#of(call).send(answer);
  }

  /** Fetches the frames that a drain has brought. */
  deliver(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const bytes = this.#native.frame();
      // Kind 0, for a call that is over, has ticket 0, which may be anybody's; nothing is done with it.
      const ticket = this.#table[FRAME]!;
      const kind = this.#table[FRAME + 1]!;
      if (kind !== 0) this.#byTicket.get(ticket)?.take(kind, bytes ?? EMPTY, this.#table[FRAME + 2]!);
    }
  }

  /** A client has gone. */
  leave(ticket: number): void {
    this.#byTicket.get(ticket)?.leave();
  }

  /** The tunnel is closed: nobody is there any more. */
  close(): void {
    for (const streams of [...this.#byTicket.values()]) streams.leave();
    this.#byTicket.clear();
  }

  #of(call: Call): CallStreams {
    const known = this.#byTicket.get(call.ticket);
    if (known !== undefined) return known;
    const streams = new CallStreams(call, this.#native, this.#host, () => this.#byTicket.delete(call.ticket));
    this.#byTicket.set(call.ticket, streams);
    return streams;
  }
}

/** The body and the answer of one call, until it is over. */
class CallStreams implements BodyPort, OutletPort {
  body: BodyStream | undefined;
  form: MultipartCall | undefined;
  readonly #call: Call;
  readonly #native: NativeTunnel;
  readonly #host: StreamsHost;
  #answer: StreamAnswer | undefined;
  #outlet: Outlet | undefined;
  #over = false;
  /** Used up and not credited; credit is given in pieces, because each may cost a wake. */
  #used = 0;
  #creditStep = 0;

  constructor(call: Call, native: NativeTunnel, host: StreamsHost, onOver: () => void) {
    this.#call = call;
    this.#native = native;
    this.#host = host;
    // Answered: from now on the ticket may name another call, of which a reader of this body must not speak.
    call.onEnd = () => {
      this.#over = true;
      onOver();
      this.body?.abandon();
      this.form?.abandon();
    };
  }

  /** A frame. Its readers are code of the application, which may throw. */
  take(kind: number, bytes: Buffer, argument: number): void {
    try {
      this.#call.within(() => {
        if (kind === FRAME_CREDIT) this.#outlet?.grant(argument);
        else if (this.form !== undefined) takePart(this.form, kind, bytes, argument);
        else if (kind === FRAME_DATA) this.body?.receive(bytes);
        else if (kind === FRAME_END) this.body?.finish();
      });
    } catch (error) {
      this.#host.report(error, this.#call);
      if (this.form !== undefined) this.form.refused(0);
      else if (kind !== FRAME_CREDIT) this.body?.destroy(error instanceof Error ? error : new Error('a listener of the body threw', { cause: error }));
      else this.#outlet?.fail(error);
    }
  }

  send(answer: StreamAnswer): void {
    this.#answer = answer;
    const outlet = new Outlet(this, answer.source, hasContent(answer.status) ? answer.length : undefined);
    this.#outlet = outlet;
    if (this.#call.gone) this.#drop();
    else this.#call.within(() => outlet.start());
  }

  leave(): void {
    this.body?.abandon(connectionReset());
    this.form?.abandon(connectionReset());
    if (this.#outlet === undefined) return;
    // Its handler has settled; this is all that is left of the call.
    this.#outlet.abandon();
    this.#call.abort();
    this.#drop();
  }

  setWindow(bytes: number): void {
    this.#creditStep = bytes / 4;
  }

  credit(bytes: number): void {
    this.#used += bytes;
    if (this.#over || this.#used < this.#creditStep) return;
    this.#native.creditBody(this.#call.ticket, this.#used);
    this.#host.given();
    this.#used = 0;
  }

  discard(): void {
    if (this.#over) return;
    this.#native.discardBody(this.#call.ticket);
    this.#host.given();
  }

  open(empty: boolean): boolean {
    const { status, reason = '', headers, length, own } = this.#answer!;
    const { ticket } = this.#call;
    const lines = headers.flatMap(([name, value]) => [name, value]);
    const written = this.#native.openStream(ticket, status, reason, lines, length ?? (empty ? 0 : -1), own.cors, own.security);
    if (written) {
      this.#host.given();
    } else {
      this.#outlet = undefined;
      this.#host.fail(this.#call, new TypeError(HEAD_REFUSED));
    }
    return written;
  }

  data(bytes: Uint8Array): void {
    this.#native.sendData(this.#call.ticket, bytes);
    this.#host.given();
  }

  end(): void {
    this.#native.endStream(this.#call.ticket);
    this.#host.given();
    this.#call.end();
    this.#answer?.events.finished?.();
  }

  fail(error: unknown, opened: boolean): void {
    const { events, status } = this.#answer!;
    if (!opened) {
      this.#outlet = undefined;
      this.#host.fail(this.#call, events.failed === undefined ? error : events.failed(error));
      return;
    }
    this.#call.trace?.failed(status, error);
    if (events.broken === undefined) this.#host.report(error, this.#call);
    else events.broken(error);
    this.#drop();
  }

  /** The ticket is free; what was sent without an end is cut. */
  #drop(): void {
    this.#outlet?.abandon();
    this.#native.cutStream(this.#call.ticket);
    this.#host.given();
    this.#call.end();
  }
}

/** A frame of a form. */
function takePart(form: MultipartCall, kind: number, bytes: Buffer, argument: number): void {
  switch (kind) {
    case FRAME_MANIFEST:
      return form.manifest(bytes);
    case FRAME_FILE:
      return form.file(bytes);
    case FRAME_DATA:
      return form.data(bytes);
    case FRAME_FILE_END:
      return form.fileEnd();
    case FRAME_END:
      return form.end();
    case FRAME_REFUSED:
      return form.refused(argument);
  }
}
