import { GatewayError, type ErrorCode } from '@omg/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { discardBody } from './unread-body.js';

/** What Node's parser and timers report, in the client's dialect; anything else is a request that is no HTTP. */
const BY_NODE_CODE: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

export function newRequestId(): string {
  return `req_${randomUUID().replaceAll('-', '')}`;
}

/** A request that never became one: unreadable, too slow, headers too large. There is only the socket to answer on. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // As Node's own handler does: after a reset nobody listens, and an answer that has begun is not cut through by another one.
  const running = (socket as { _httpMessage?: { headersSent: boolean } | null })._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable || running?.headersSent) {
    socket.destroy();
    return;
  }
  endWith(socket, new GatewayError(BY_NODE_CODE[error.code ?? ''] ?? 'malformed_request'));
}

/** `CONNECT`: Node hands over the bare socket, and would close it without a word. */
export function answerConnect(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  endWith(socket, new GatewayError('method_not_allowed'));
}

function endWith(socket: Duplex, refusal: GatewayError): void {
  const body = JSON.stringify(refusal.toBody());
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_TEXT[refusal.status]}`,
    `x-request-id: ${newRequestId()}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** Of a body that comes with a URL that nobody can read. */
const DISCARDED_BYTES_MAX = 1024 * 1024;

/** A URL that cannot be decoded; no route, and so no hook, has seen it. */
export function answerFrameworkError(_error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = new GatewayError('malformed_request', { message: 'The request URL is malformed.' });
  discardBody(request.raw, DISCARDED_BYTES_MAX);
  void reply
    .code(refusal.status)
    .headers({ 'x-request-id': newRequestId(), 'content-type': 'application/json; charset=utf-8' })
    .send(JSON.stringify(refusal.toBody()));
}

/** `Expect` with anything but `100-continue`. */
export function answerUnknownExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const refusal = new GatewayError('malformed_request', { message: "The 'Expect' header has an unknown value." });
  const body = JSON.stringify(refusal.toBody());
  response
    .writeHead(417, {
      'x-request-id': newRequestId(),
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    })
    .end(body);
}
