import type { ServerResponse } from 'node:http';
import type { WireError } from './wire.js';

/** `body` is sent as it is when it is text, else as its JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  if (response.destroyed) return;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
}

export function sendError(response: ServerResponse, error: WireError): void {
  if (response.headersSent) response.destroy();
  else sendJson(response, error.status, error.body, error.headers);
}
