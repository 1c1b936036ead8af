import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CallLog } from './call-log.js';
import { chatCompletions } from './chat.js';
import type { DemoConfig } from './config.js';
import { embeddings } from './embeddings.js';
import { ImageShelf, imageGenerations } from './images.js';
import { sendError, sendJson } from './send.js';
import { WireError, type ChatRequest, type EmbeddingsRequest, type ImagesRequest } from './wire.js';

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const MODELS = ['demo-chat', 'demo-chat-mini', 'demo-embed', 'demo-image'];
/** 2026-01-01, so that the list is the same at every call. */
const MODELS_CREATED = 1_767_225_600;

async function readBody<T>(request: IncomingMessage): Promise<T> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw new WireError(413, 'The request is too large.');
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8')) as T;
  } catch {
    throw new WireError(400, 'We could not parse the JSON body of your request.');
  }
}

interface Context {
  config: DemoConfig;
  log: CallLog;
  shelf: ImageShelf;
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: MODELS_CREATED, owned_by: 'demo-provider' };
}

function answerGet(path: string, response: ServerResponse, context: Context): boolean {
  const image = path.startsWith('/images/') ? context.shelf.get(path.slice('/images/'.length)) : undefined;
  const model = MODELS.find((id) => path === `/v1/models/${id}`);
  if (path === '/healthz' || path === '/readyz') sendJson(response, 200, { status: 'ok' });
  else if (path === '/__calls') sendJson(response, 200, context.log.report());
  else if (path === '/v1/models') sendJson(response, 200, { object: 'list', data: MODELS.map(modelObject) });
  else if (model !== undefined) sendJson(response, 200, modelObject(model));
  else if (image !== undefined) response.writeHead(200, { 'content-type': 'image/png', 'content-length': image.length }).end(image);
  else return false;
  return true;
}

function authorize(request: IncomingMessage, config: DemoConfig): void {
  if (config.apiKey === undefined || request.headers.authorization === `Bearer ${config.apiKey}`) return;
  throw new WireError(401, 'Incorrect API key provided.', { code: 'invalid_api_key' });
}

async function answer(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0]!;
  if (path.startsWith('/v1/')) authorize(request, context.config);
  if (request.method === 'GET' && answerGet(path, response, context)) return;
  if (request.method === 'DELETE' && path === '/__calls') {
    context.log.clear();
    sendJson(response, 200, { deleted: true });
    return;
  }
  const fault = request.headers['x-demo-fault']?.toString();
  const isPost = request.method === 'POST';
  if (isPost && path === '/v1/chat/completions') await chatCompletions(response, await readBody<ChatRequest>(request), fault, context.log, context.config);
  else if (isPost && path === '/v1/embeddings') await embeddings(response, await readBody<EmbeddingsRequest>(request), fault, context.log, context.config);
  else if (isPost && path === '/v1/images/generations') {
    const origin = `http://${request.headers.host ?? 'localhost'}`;
    await imageGenerations(response, await readBody<ImagesRequest>(request), fault, { ...context, origin });
  } else throw new WireError(404, `Unknown request URL: ${request.method} ${path}.`);
}

/** The provider's HTTP server, not yet listening. */
export function createDemoProvider(config: DemoConfig): Server {
  const context: Context = { config, log: new CallLog(), shelf: new ImageShelf() };
  const server = createServer((request, response) => {
    answer(request, response, context).catch((error: unknown) => {
      sendError(response, error instanceof WireError ? error : new WireError(500, 'The server had an error.', { type: 'server_error' }));
    });
  });
  // Longer than any pool in front keeps an idle connection, so that this side never closes one that is being written to.
  server.keepAliveTimeout = 75_000;
  return server;
}
