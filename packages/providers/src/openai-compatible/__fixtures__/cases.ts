import * as wire from '../../openai/__fixtures__/wire.js';
import { sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** A server that is known only by its promise; its streams come with CRLF line ends and comments, as sse-starlette writes them. */
function withPings(lines: string): string {
  return `: ping - 2026-01-01 00:00:00\r\n\r\n${lines.replaceAll('\n', '\r\n')}`;
}

const bytes = wire.chat.stream.answer.body as string;

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: wire.secret }),
  chat: { ...wire.chat, stream: { ...wire.chat.stream, answer: sseAnswer(withPings(bytes)) } },
  garbage: `\r\n\r\n${sseOf('{"id":"x","choices":[{', false)}`,
};
