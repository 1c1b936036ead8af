import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Node keeps the answer that a socket is busy with under this name; there is no public way from one to the other. */
type BusySocket = Socket & { _httpMessage?: ServerResponse | null };

/**
 * The connections of a server, so that a drain can tell each client to open its next one elsewhere. Costs nothing per request.
 */
export class ConnectionWatch {
  private readonly sockets = new Set<BusySocket>();
  /** What each connection had received when it was last seen idle. */
  private readonly idleAt = new WeakMap<Socket, number>();
  private ending = false;

  constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /**
   * From now on every answer says `Connection: close`, the running ones too where their head is not sent yet. Clients that keep
   * connections alive leave this way by themselves: closing an idle connection could meet the next request half-way.
   */
  endAfterAnswer(): void {
    if (this.ending) return;
    this.ending = true;
    for (const socket of this.sockets) {
      const answer = socket._httpMessage;
      if (answer && !answer.headersSent) answer.shouldKeepAlive = false;
    }
    this.server.prependListener('request', (_request, answer: ServerResponse) => {
      answer.shouldKeepAlive = false;
    });
  }

  /** Closes the connections that were idle at the last call and have received nothing since. */
  closeIdle(): void {
    for (const socket of this.sockets) {
      if (socket._httpMessage) continue;
      if (this.idleAt.get(socket) === socket.bytesRead) socket.destroy();
      else this.idleAt.set(socket, socket.bytesRead);
    }
  }
}
