/** W3C trace context: `00-<trace id>-<span id>-<flags>`. */
export interface TraceParent {
  traceId: string;
  spanId: string;
  isSampled: boolean;
}

const SHAPE = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** Undefined for anything that is not a valid header; those are ignored, as the specification asks. */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.startsWith('ff')) return undefined;
  const match = SHAPE.exec(text);
  if (!match || match[1] === NO_TRACE || match[2] === NO_SPAN) return undefined;
  return { traceId: match[1]!, spanId: match[2]!, isSampled: (Number.parseInt(match[3]!, 16) & 1) === 1 };
}

export function formatTraceparent(parent: TraceParent): string {
  return `00-${parent.traceId}-${parent.spanId}-${parent.isSampled ? '01' : '00'}`;
}
