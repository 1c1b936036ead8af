import { runService } from '@omg/service-kit';
import { EdgeModule } from './app.module.js';
import { EDGE_SECTIONS, edgeConfigOf } from './config.js';
import { answerClientError, answerFrameworkError } from './data-plane/protocol-errors.js';
import { registerDataPlane } from './data-plane/register.js';
import { openEdge } from './open-edge.js';

/** Longer than load balancers keep an idle connection, mostly a minute: they must not send into one that is being closed. */
const KEEP_ALIVE_MS = 72_000;
/** How often Node looks for overdue headers and bodies; its default of 30 s would stretch a limit of 5 s to 35. */
const TIMEOUT_CHECK_MS = 1000;

await runService({
  name: 'edge-gateway',
  sections: EDGE_SECTIONS,
  listenAddr: (config) => config.server.listenAddr,
  // The data plane reads bodies as bytes and counts its requests itself.
  bodyParser: false,
  observeHttp: false,
  fastify: (config) => ({
    trustProxy: config.server.trustedProxies.length > 0 ? config.server.trustedProxies : false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A body that trickles in for longer than an answer may take holds its socket no longer.
    requestTimeout: config.server.syncTimeoutMs,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // A missing Host is refused in the data plane, in the form of every other error.
    http: { headersTimeout: config.server.readHeaderTimeoutMs, connectionsCheckingInterval: TIMEOUT_CHECK_MS, requireHostHeader: false },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
    routerOptions: { maxParamLength: 512, ignoreTrailingSlash: true },
  }),
  async start(service) {
    const services = await openEdge(service);
    return {
      module: EdgeModule,
      routes: (fastify) => {
        service.onReload('data plane', () => {
          Object.assign(services.config, edgeConfigOf(service.config));
          fastify.server.requestTimeout = service.config.server.syncTimeoutMs;
        });
        registerDataPlane(fastify, services);
      },
    };
  },
});
