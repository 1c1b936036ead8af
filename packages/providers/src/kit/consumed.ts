import { addMeters, type Meters } from '@omg/domain';
import { ProviderError } from '../spec/provider-error.js';

/**
 * A call that fails may have been billed all the same. These carry what the provider counted along with the failure, so that
 * it is booked for whoever asked.
 */

/** The failure, with the provider's count added to what it holds already. */
export function billed(error: unknown, meters: Meters | undefined): unknown {
  if (!(error instanceof ProviderError) || meters === undefined) return error;
  const known = error.consumed?.meters;
  error.consumed = { meters: known === undefined ? meters : addMeters(known, meters), outputBytes: 0 };
  return error;
}

/** Reads an answer whose usage is known already: if it cannot be read, its usage goes along with the failure. */
export function readBilled<T>(meters: Meters | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw billed(error, meters);
  }
}
