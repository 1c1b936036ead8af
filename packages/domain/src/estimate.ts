/**
 * Tokens of a text when nobody counted them: one per four bytes of UTF-8. For English that is the rule of thumb of OpenAI's tokenizer
 * page (four characters); other scripts take more tokens per character, and more bytes. Used for holds and, marked as an estimate,
 * where a provider reports no usage.
 */
const BYTES_PER_TOKEN = 4;

export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}
