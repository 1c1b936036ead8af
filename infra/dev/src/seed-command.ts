import { DEMO } from './apps.ts';
import { requireStack } from './stack-commands.ts';
import { CommandError } from './terminal.ts';

const REQUESTS_DEFAULT = 100;
const REQUESTS_MAX = 100_000;
const PARALLEL = 8;
const REQUEST_TIMEOUT_MS = 30_000;

interface Call {
  path: string;
  body: Record<string, unknown>;
}

const QUESTIONS = [
  'What is a budget?',
  'Name three colours.',
  'Summarise the meeting in two sentences.',
  'Translate "good morning" into French.',
  'Why is the sky blue?',
];

/** The nth call of a little day at the office: mostly chat, some of it streamed, embeddings, now and then an image. */
function callNumber(index: number): Call {
  const question = QUESTIONS[index % QUESTIONS.length]!;
  const messages = [{ role: 'user', content: question }];
  if (index % 20 === 19) return { path: '/v1/images/generations', body: { model: 'demo-image', prompt: question, size: '64x64', response_format: 'b64_json' } };
  if (index % 5 === 4) return { path: '/v1/embeddings', body: { model: 'demo-embed', input: [question, `${question} again`] } };
  const model = index % 3 === 0 ? 'demo-chat-mini' : index % 7 === 0 ? 'demo-failover' : 'demo-chat';
  return { path: '/v1/chat/completions', body: { model, messages, stream: index % 2 === 0 } };
}

async function send(edgeUrl: string, call: Call): Promise<number> {
  const response = await fetch(`${edgeUrl}${call.path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${DEMO.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(call.body),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  await response.arrayBuffer();
  return response.status;
}

/** `./omg seed [n]`: sends n demo requests through the running edge, so that reports and dashboards have something to show. */
export async function seedCommand(args: readonly string[]): Promise<number> {
  const count = Number(args[0] ?? REQUESTS_DEFAULT);
  if (args.length > 1 || !Number.isInteger(count) || count < 1 || count > REQUESTS_MAX)
    throw new CommandError(`seed takes a number of requests from 1 to ${REQUESTS_MAX}`);
  const edgeUrl = requireStack().env['EDGE_URL']!;
  const statuses = new Map<number, number>();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const status = await send(edgeUrl, callNumber(index));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  process.stdout.write(`${[...statuses].map(([status, times]) => `${times} answered ${status}`).join(', ')}\n`);
  return statuses.size === 1 && statuses.has(200) ? 0 : 1;
}
