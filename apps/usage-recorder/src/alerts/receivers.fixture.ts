import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { addCleanup } from '@omg/testkit';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** Where alerts arrive in tests: a real mail server and a real HTTP server on loopback. */

export interface ReceivedCall {
  headers: IncomingHttpHeaders;
  body: string;
  atMs: number;
}

/** Answers with the statuses in turn, the last one for ever. */
export async function startReceiver(...statuses: number[]) {
  const calls: ReceivedCall[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      calls.push({ headers: request.headers, body, atMs: performance.now() });
      const status = statuses[Math.min(calls.length, statuses.length) - 1] ?? 200;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('noted');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => new Promise((resolve) => (server.close(() => resolve()), server.closeAllConnections())));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/budget`, calls };
}

export interface ReceivedMail {
  to: string[];
  content: string;
  secure: boolean;
  user: string | undefined;
}

export async function startMailServer(options: SMTPServerOptions = {}) {
  const mails: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onAuth: (auth, _session, done) => done(auth.password === 'mail-password' ? null : new Error('no'), { user: auth.username }),
    onData: (stream, session, done) => {
      void text(stream).then((content) => {
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), content, secure: session.secure, user: session.user });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  const port = await new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.server.address() as AddressInfo).port)));
  addCleanup(() => new Promise((resolve) => server.close(() => resolve())));
  return { port, mails };
}
