export interface RecordedRequest {
  method: string;
  /** Path with query, as sent. */
  path: string;
  /** Lower-cased names; repeated headers are joined with ", ". */
  headers: Record<string, string>;
  body: Buffer;
  /** The body parsed as JSON; throws when it is none. */
  json<T = Record<string, unknown>>(): T;
  /** `Date.now()` when the last byte of the request arrived. */
  receivedAtMs: number;
}

const HEAD_END = '\r\n\r\n';

function parseHead(text: string): { method: string; path: string; headers: Record<string, string> } {
  const [requestLine = '', ...lines] = text.split('\r\n');
  const [method = '', path = ''] = requestLine.split(' ');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return { method, path, headers };
}

/** A chunked body once it is complete: the body and the bytes it took. */
function readChunked(bytes: Buffer): { body: Buffer; used: number } | undefined {
  const pieces: Buffer[] = [];
  let offset = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', offset);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', offset, lineEnd), 16);
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) return undefined;
    pieces.push(bytes.subarray(start, start + size));
    offset = start + size + 2;
    if (size === 0) return { body: Buffer.concat(pieces), used: offset };
  }
}

/** Cuts a connection's bytes into requests (Content-Length and chunked bodies, keep-alive). */
export class HttpRequestReader {
  private pending: Buffer = Buffer.alloc(0);
  private readonly onRequest: (request: RecordedRequest) => void;

  constructor(onRequest: (request: RecordedRequest) => void) {
    this.onRequest = onRequest;
  }

  push(bytes: Buffer): void {
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    while (this.readOne()) {
      // Pipelined requests arrive in one piece.
    }
  }

  private readOne(): boolean {
    const headEnd = this.pending.indexOf(HEAD_END);
    if (headEnd < 0) return false;
    const head = parseHead(this.pending.toString('latin1', 0, headEnd));
    const rest = this.pending.subarray(headEnd + HEAD_END.length);
    let body: Buffer;
    if (head.headers['transfer-encoding']?.includes('chunked') === true) {
      const chunked = readChunked(rest);
      if (chunked === undefined) return false;
      body = chunked.body;
      this.pending = rest.subarray(chunked.used);
    } else {
      const length = Number(head.headers['content-length'] ?? 0);
      if (rest.length < length) return false;
      body = rest.subarray(0, length);
      this.pending = rest.subarray(length);
    }
    this.onRequest({ ...head, body, json: <T>() => JSON.parse(body.toString('utf8')) as T, receivedAtMs: Date.now() });
    return true;
  }
}
