import { GatewayError, type ErrorCode } from '@omg/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

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
  const refusal = new GatewayError(BY_NODE_CODE[error.code ?? ''] ?? 'malformed_request');
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

const STATUS_TEXT: Readonly<Record<number, string>> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' };

/** A URL that cannot be decoded; no route, and so no hook, has seen it. */
export function answerFrameworkError(_error: Error, _request: FastifyRequest, reply: FastifyReply): void {
  const refusal = new GatewayError('malformed_request', { message: 'The request URL is malformed.' });
  void reply
    .code(refusal.status)
    .headers({ 'x-request-id': newRequestId(), 'content-type': 'application/json; charset=utf-8' })
    .send(JSON.stringify(refusal.toBody()));
}

/** `Expect` with anything but `100-continue`, which Node answers itself. */
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
