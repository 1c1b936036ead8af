import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** Bodies that are not wanted yet, and those that nobody wants any more. */

/**
 * `Expect: 100-continue`: the client sends its body when it is told to. Node would tell it at once; here it hears of it when its key
 * is good and its body is about to be read (`askForBody`), so that whoever is refused has sent nothing.
 */
export function holdContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A refused client may send its body all the same: what comes next on this connection cannot be told from it.
    response.shouldKeepAlive = false;
    server.emit('request', request, response);
  });
}

export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect !== undefined && request.httpVersion === '1.1') response.writeContinue();
}

/**
 * Reads on what a refused client still sends and throws it away, since many read no answer before they have sent everything. A
 * client that sends more than anyone may is cut off: nobody without a key keeps a connection busy with a body that never ends.
 */
export function discardBody(request: IncomingMessage, bytesMax: number): void {
  if (request.complete) return;
  let bytes = 0;
  request
    .on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > bytesMax) request.socket.destroy();
    })
    .on('error', () => undefined)
    .resume();
}
