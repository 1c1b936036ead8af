/**
 * The demo provider's honest counting rule: a run of up to six letters or digits is one token, every other visible
 * character is one token, white space belongs to the token after it (and is one token where none follows).
 */
const TOKEN = /\s*(?:[\p{L}\p{N}\p{M}]{1,6}|[^\s\p{L}\p{N}\p{M}])|\s+$/gu;

/** The text cut into its tokens; joined they are the text again. */
export function splitTokens(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

export function countTokens(text: string): number {
  return splitTokens(text).length;
}

/** What a chat format adds around each message. */
export const TOKENS_PER_MESSAGE = 4;
/** An image part costs the same whatever its size. */
export const TOKENS_PER_IMAGE = 85;
