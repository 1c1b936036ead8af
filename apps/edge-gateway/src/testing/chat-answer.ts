/** A whole chat completion as OpenAI documents it; `usage` is what the provider says that it counted. */
export function chatAnswer(usage: { prompt_tokens: number; completion_tokens: number } = { prompt_tokens: 19, completion_tokens: 10 }, content = 'Hello!') {
  return {
    id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
    object: 'chat.completion',
    created: 1741569952,
    model: 'upstream-model',
    choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'stop' }],
    usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
  };
}
