import { z } from 'zod';
import { duration, durationOf, leaf, list, positiveDuration, text } from '../fields.js';

/** `[host]:port`; port 0 takes a free one. */
export const listenAddress = () => text().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$/, 'must be [host]:port, such as :8080 or 127.0.0.1:0');

export const serverSection = z.object({
  listen_addr: leaf(listenAddress().default(':8080'), {
    about: 'Address of the edge gateway. The variable `PORT` replaces the port of whichever service is started; 0 takes a free one.',
  }),
  body_limit_mb: leaf(z.int().positive().max(1024).default(20), { about: 'Largest JSON body in MiB.' }),
  sync_timeout: leaf(positiveDuration().default(durationOf('300s')), { about: 'Longest time for a whole non-streaming request, all attempts included.' }),
  provider_timeout: leaf(positiveDuration().default(durationOf('280s')), { about: 'Longest time for one upstream attempt; at most `server.sync_timeout`.' }),
  stream_idle_timeout: leaf(positiveDuration().default(durationOf('30s')), { about: 'Longest gap between two upstream chunks of a stream.' }),
  stream_max_duration: leaf(positiveDuration().default(durationOf('300s')), { about: 'Longest time for a whole stream.' }),
  read_header_timeout: leaf(positiveDuration().default(durationOf('5s')), {
    about: "Longest wait for a client's request headers, so that slow clients cannot hold sockets.",
  }),
  shutdown_notice: leaf(duration({ max: 300_000 }).default(durationOf('0s')), {
    about:
      'After SIGTERM: how long everything is still answered, with `Connection: close`, while `/readyz` fails already, so that load balancers and kept-alive clients go elsewhere first. Behind one, some seconds more than it takes to notice.',
    example: '5s',
  }),
  graceful_shutdown_delay: leaf(positiveDuration().default(durationOf('5s')), {
    about: 'After SIGTERM and `server.shutdown_notice`: how long running work may go on before it is aborted and recorded.',
  }),
  trusted_proxies: leaf(list().default([]), {
    about:
      'Addresses or CIDR ranges whose `X-Forwarded-*` headers count. Name your load balancer: without it all clients have its address, and one that makes up API keys uses up what this address may look up.',
    example: ['10.0.0.0/8'],
  }),
});
