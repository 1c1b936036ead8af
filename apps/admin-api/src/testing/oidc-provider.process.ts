import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

/**
 * A real OpenID provider as its own process, for the sign-in tests. Prints its issuer on one line once it listens.
 * It signs in whoever `login_hint` describes (base64url JSON of claims) without asking; everything else is the protocol.
 */
const redirectUri = process.argv[2]!;
/** What was last said about each person. */
const people = new Map<string, { sub: string }>();
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'gateway', client_secret: 'gateway-secret', redirect_uris: [redirectUri], token_endpoint_auth_method: 'client_secret_post' }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    cookies: { keys: ['test'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_context, id) => ({ accountId: id, claims: () => people.get(id)! }),
    loadExistingGrant: async (context) => {
      const { client, session } = context.oidc;
      const grant = new context.oidc.provider.Grant({ clientId: client!.clientId, accountId: session!.accountId! });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  });
  provider.use(async (context, next) => {
    if (!context.path.startsWith('/sign-in/')) return next();
    const { params } = await provider.interactionDetails(context.req, context.res);
    const person = JSON.parse(Buffer.from(String(params['login_hint']), 'base64url').toString()) as { sub: string };
    people.set(person.sub, person);
    await provider.interactionFinished(context.req, context.res, { login: { accountId: person.sub } });
    context.respond = false;
  });
  server.on('request', provider.callback());
  process.stdout.write(`${issuer}\n`);
});
