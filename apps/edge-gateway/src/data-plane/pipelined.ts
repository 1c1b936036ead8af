import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Far more than any client sends before it has read an answer; the usual ones send none. */
const QUEUED_MAX = 64;

const queued = new WeakMap<Socket, number>();

/** Requests that came before the one in front of them on their connection was answered: their answers wait in memory. */
export function isQueued(response: ServerResponse): boolean {
  return (response.req.socket as { _httpMessage?: unknown })._httpMessage !== response;
}

/**
 * False: too many wait on this connection. Whoever sends requests without reading the answers would have the edge keep them all,
 * and needs no key for it.
 */
export function takesPlaceInQueue(response: ServerResponse): boolean {
  const { socket } = response.req;
  const before = queued.get(socket) ?? 0;
  if (before >= QUEUED_MAX) return false;
  queued.set(socket, before + 1);
  response.once('close', () => queued.set(socket, queued.get(socket)! - 1));
  return true;
}
