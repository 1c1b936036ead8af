import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { addCleanup } from './cleanup.js';
import { readFields, type WireField } from './protobuf-wire.js';

export interface ReceivedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  /** OTLP's numbers: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  durationMs: number;
  attributes: Record<string, string | number | boolean>;
}

export interface OtlpReceiver {
  /** For `observability.otlp_endpoint`. */
  endpoint: string;
  spans: ReceivedSpan[];
  close(): Promise<void>;
}

/** A collector that only remembers: OTLP over gRPC, read from the wire, so that it shares no code with the exporter. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', () => undefined);
    stream.on('end', () => {
      // A gRPC message: one byte of flags, four of length.
      spans.push(...spansOf(Buffer.concat(parts).subarray(5)));
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const session of sessions) session.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  addCleanup(close);
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, close };
}

const messages = (fields: readonly WireField[], number: number) => fields.filter((field) => field.number === number).map((field) => readFields(field.bytes!));
const bytesOf = (fields: readonly WireField[], number: number) => fields.find((field) => field.number === number)?.bytes ?? Buffer.alloc(0);
const numberOf = (fields: readonly WireField[], number: number) => fields.find((field) => field.number === number)?.value ?? 0n;

/** ExportTraceServiceRequest > ResourceSpans (1) > Resource (1), ScopeSpans (2) > Span (2). */
function spansOf(request: Buffer): ReceivedSpan[] {
  return messages(readFields(request), 1).flatMap((resourceSpans) => {
    const resource = messages(resourceSpans, 1)[0] ?? [];
    const service = String(attributesOf(resource, 1)['service.name'] ?? '');
    return messages(resourceSpans, 2).flatMap((scope) => messages(scope, 2).map((span) => spanOf(service, span)));
  });
}

function spanOf(service: string, span: readonly WireField[]): ReceivedSpan {
  return {
    service,
    name: bytesOf(span, 5).toString(),
    traceId: bytesOf(span, 1).toString('hex'),
    spanId: bytesOf(span, 2).toString('hex'),
    parentSpanId: bytesOf(span, 4).toString('hex'),
    kind: Number(numberOf(span, 6)),
    durationMs: Number(numberOf(span, 8) - numberOf(span, 7)) / 1e6,
    attributes: attributesOf(span, 9),
  };
}

function attributesOf(fields: readonly WireField[], number: number): ReceivedSpan['attributes'] {
  return Object.fromEntries(messages(fields, number).map((pair) => [bytesOf(pair, 1).toString(), valueOf(messages(pair, 2)[0] ?? [])]));
}

/** AnyValue: string (1), bool (2), int (3), double (4). */
function valueOf(value: readonly WireField[]): string | number | boolean {
  const field = value[0];
  if (field?.number === 1) return field.bytes!.toString();
  if (field?.number === 2) return field.value === 1n;
  if (field?.number === 4) {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(field.value!);
    return buffer.readDoubleLE();
  }
  return Number(field?.value ?? 0n);
}
