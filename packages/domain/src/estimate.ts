/**
 * Tokens of a text when nobody counted them: one per four characters, the rule of thumb of OpenAI's tokenizer page for
 * English. Used for holds and, marked as an estimate, where a provider reports no usage.
 */
const CHARS_PER_TOKEN = 4;

export function estimateTokens(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}
