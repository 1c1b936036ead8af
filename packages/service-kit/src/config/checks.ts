import type { SectionName } from './schema.js';
import { DEVELOPMENT_SECRETS, decodedKey, encryptionKeyProblem, weakness } from './secret-policy.js';

/** Values by dotted path, as parsed; only of the sections that were asked for. */
export type Values = ReadonlyMap<string, unknown>;

export interface Report {
  problem(dotted: string, message: string): void;
  warn(message: string): void;
}

interface Check {
  sections: readonly SectionName[];
  run(values: Values, report: Report): void;
}

const num = (values: Values, path: string) => values.get(path) as number;
const str = (values: Values, path: string) => (values.get(path) as string | undefined) ?? '';
const on = (values: Values, path: string) => values.get(path) === true;
const texts = (values: Values, path: string) => (values.get(path) as string[] | undefined) ?? [];

/** What one field alone cannot tell. A check runs when all its sections are loaded and could be read. */
export const CHECKS: readonly Check[] = [
  {
    sections: ['server'],
    run(values, report) {
      if (num(values, 'server.provider_timeout') > num(values, 'server.sync_timeout'))
        report.problem('server.provider_timeout', 'must be at most server.sync_timeout');
      if (num(values, 'server.stream_idle_timeout') > num(values, 'server.stream_max_duration'))
        report.problem('server.stream_idle_timeout', 'must be at most server.stream_max_duration');
    },
  },
  {
    sections: ['server', 'edge'],
    run(values, report) {
      const memoryMb = num(values, 'edge.body_memory_mb');
      if (memoryMb > 0 && memoryMb < num(values, 'server.body_limit_mb'))
        report.problem('edge.body_memory_mb', 'must be 0 or at least server.body_limit_mb: the largest bodies would never be taken');
    },
  },
  {
    sections: ['database'],
    run(values, report) {
      if (num(values, 'database.min_conns') > num(values, 'database.max_conns')) report.problem('database.min_conns', 'must be at most database.max_conns');
      if (on(values, 'database.run_migrations') && str(values, 'database.migrations_dir') === '')
        report.problem('database.migrations_dir', 'is required while database.run_migrations is on');
    },
  },
  {
    sections: ['redis'],
    run(values, report) {
      if (str(values, 'redis.url').includes('+cluster:') && num(values, 'redis.db') > 0) report.problem('redis.db', 'a cluster has only database 0');
    },
  },
  {
    sections: ['nats'],
    run(values, report) {
      if ((str(values, 'nats.tls_cert_file') === '') !== (str(values, 'nats.tls_key_file') === ''))
        report.problem('nats.tls_key_file', 'certificate and key belong together');
    },
  },
  {
    sections: ['budgets'],
    run(values, report) {
      const receivers = texts(values, 'budgets.alert.emails').length + texts(values, 'budgets.alert.webhooks').length;
      if (on(values, 'budgets.alert.enabled') && receivers === 0)
        report.warn('budgets.alert.enabled is on, but there is neither a mail address nor a webhook by default');
      const host = str(values, 'budgets.alert.smtp.host');
      if (host !== '' && str(values, 'budgets.alert.smtp.from') === '')
        report.problem('budgets.alert.smtp.from', 'is required when budgets.alert.smtp.host is set');
      if (host === '' && texts(values, 'budgets.alert.emails').length > 0)
        report.warn('budgets.alert.emails is set, but budgets.alert.smtp.host is empty, so no mail is sent');
      if (on(values, 'budgets.alert.smtp.skip_tls_verify')) report.warn('budgets.alert.smtp.skip_tls_verify is on: mail can be read on the way');
      for (const url of texts(values, 'budgets.alert.webhooks'))
        if (!/^https?:\/\/\S+$/.test(url)) report.problem('budgets.alert.webhooks', 'must be http or https URLs');
    },
  },
  {
    sections: ['admin'],
    run(values, report) {
      if (!on(values, 'admin.local.enabled') && !on(values, 'admin.oidc.enabled'))
        report.problem('admin.local.enabled', 'at least one of local login and OIDC must be on');
      if (on(values, 'admin.oidc.enabled'))
        for (const key of ['issuer', 'client_id', 'client_secret', 'redirect_url'])
          if (str(values, `admin.oidc.${key}`) === '') report.problem(`admin.oidc.${key}`, 'is required while admin.oidc.enabled is on');
      if (num(values, 'admin.session.refresh_token_ttl') < num(values, 'admin.session.access_token_ttl'))
        report.problem('admin.session.refresh_token_ttl', 'must be at least admin.session.access_token_ttl');
    },
  },
  {
    sections: ['providers'],
    run(values, report) {
      if ((str(values, 'providers.aws_access_key_id') === '') !== (str(values, 'providers.aws_secret_access_key') === ''))
        report.problem('providers.aws_secret_access_key', 'AWS key id and secret belong together');
    },
  },
  { sections: ['bootstrap'], run: checkReferences },
];

function checkReferences(values: Values, report: Report): void {
  const entries = (key: string) => (values.get(`bootstrap.${key}`) as Record<string, string>[] | undefined) ?? [];
  for (const [key, field] of [
    ['tenants', 'name'],
    ['admin_users', 'email'],
    ['api_keys', 'prefix'],
  ] as const) {
    const seen = new Set<string>();
    entries(key).forEach((entry, index) => {
      const name = entry[field]!;
      if (seen.has(name)) report.problem(`bootstrap.${key}`, `entry ${index} repeats the ${field} of an earlier one`);
      seen.add(name);
    });
  }
}

/** Secrets of the loaded sections; each must be one that somebody chose. */
export function checkSecrets(values: Values, except: ReadonlySet<string>, report: Report): void {
  for (const path of Object.keys(DEVELOPMENT_SECRETS)) {
    if (!values.has(path) || except.has(path)) continue;
    const value = values.get(path);
    if (!Array.isArray(value)) {
      const problem = weakness(String(value), 32);
      if (problem) report.problem(path, problem);
    } else if (value.length === 0) report.problem(path, 'is required');
    else
      value.forEach((entry: string, index) => {
        const problem = encryptionKeyProblem(entry) ?? weakness(decodedKey(entry), 32);
        if (problem) report.problem(path, `entry ${index} ${problem}`);
      });
  }
  const keys = (values.get('bootstrap.api_keys') as { secret: string }[] | undefined) ?? [];
  keys.forEach((key, index) => {
    const problem = weakness(key.secret, 24);
    if (problem) report.problem('bootstrap.api_keys', `entry ${index}: secret ${problem}`);
  });
  const users = (values.get('bootstrap.admin_users') as { password?: string }[] | undefined) ?? [];
  users.forEach((user, index) => {
    const problem = user.password === undefined ? undefined : weakness(user.password, 12);
    if (problem) report.problem('bootstrap.admin_users', `entry ${index}: password ${problem}`);
  });
}
