/** How one try to deliver ended. Errors are classes, never an address or a server's text. */
export type SendResult = { ok: true } | { ok: false; error: string; /** Another try may succeed. */ retry: boolean };

export const delivered: SendResult = { ok: true };

export function failed(error: string, retry: boolean): SendResult {
  return { ok: false, error, retry };
}
