import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

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

/** As long as nginx's `lingering_time`: whoever has not read its answer by then does not read answers before it has sent everything. */
const LINGER_MS = 30_000;

/**
 * Reads on what a refused client still sends and throws it away: a connection that is closed with unread bytes takes the answer from a
 * client that has not read it yet. A body may be as long as anyone's (`bytesMax`); one that is longer is read for `lingerMs` after the
 * refusal and then cut off, so that nobody without a key keeps a connection busy with a body that never ends. How long a slow body may
 * take is the server's request timeout.
 */
export function discardBody(request: IncomingMessage, bytesMax: number, lingerMs: number = LINGER_MS): void {
  if (request.complete) return;
  closeAfterBody(request);
  const refusedAt = performance.now();
  let bytes = 0;
  request
    .on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > bytesMax && performance.now() - refusedAt >= lingerMs) request.socket.destroy();
    })
    .on('error', () => undefined)
    .resume();
}

/** A client that has sent nothing for so long has stopped, and waits for the connection to end. */
const PAUSE_MS = 1_000;

/** Node closes a connection that is not kept (`Connection: close`) as soon as the answer is written: here that waits for the body's end. */
function closeAfterBody(request: IncomingMessage): void {
  const socket: Partial<Pick<Socket, 'destroySoon'>> = request.socket;
  let pause: NodeJS.Timeout | undefined;
  let pieces = 0;
  const close = (): void => {
    clearTimeout(pause);
    delete socket.destroySoon;
    if (pause !== undefined) request.socket.destroySoon();
  };
  // Timers run before sockets are read: after a busy moment of this process, what was sent meanwhile is read first.
  const closeUnlessRead = (): void => {
    const before = pieces;
    setImmediate(() => pieces === before && close());
  };
  socket.destroySoon = () => (pause = setTimeout(closeUnlessRead, PAUSE_MS).unref());
  request
    .on('data', () => {
      pieces++;
      pause?.refresh();
    })
    .once('end', close);
}
