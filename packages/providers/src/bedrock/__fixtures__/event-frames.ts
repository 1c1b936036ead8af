import { EventStreamCodec } from '@smithy/eventstream-codec';
import { fromUtf8, toUtf8 } from '@smithy/util-utf8';

/** Frames of `application/vnd.amazon.eventstream`, made by the codec that the SDK itself reads them with. */
const codec = new EventStreamCodec(toUtf8, fromUtf8);

function frame(headers: Record<string, string>, payload: string): Buffer {
  const typed = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }]));
  return Buffer.from(codec.encode({ headers: typed, body: fromUtf8(payload) }));
}

/** One event of a ConverseStream, such as `messageStart`; real ones carry a padding of random length under `p`. */
export function converseFrame(type: string, payload: object): Buffer {
  return frame({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, JSON.stringify({ ...payload, p: 'abcdefghijk' }));
}

/** One event of a model, wrapped as InvokeModelWithResponseStream sends it. */
export function chunkFrame(event: string): Buffer {
  const payload = JSON.stringify({ bytes: Buffer.from(event).toString('base64'), p: 'abcdefghijklmnopqrstuv' });
  return frame({ ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' }, payload);
}

export function exceptionFrame(type: string, message: string): Buffer {
  return frame({ ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' }, JSON.stringify({ message }));
}

/** Each line is one object with one key: the event's type. */
export function converseFrames(lines: string): Buffer {
  const events = lines
    .trim()
    .split('\n')
    .map((line) => Object.entries(JSON.parse(line) as Record<string, object>)[0]!);
  return Buffer.concat(events.map(([type, payload]) => converseFrame(type, payload)));
}
