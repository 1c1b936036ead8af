import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../logging/logger.js';
import { isLive } from './live-keys.js';
import { ConfigError, type LoadedConfig } from './load-config.js';
import { configPathOf, leavesOf, type ConfigOf, type SectionName } from './schema.js';

export interface ReloadOutcome {
  /** Dotted keys whose new value is in force. */
  applied: string[];
  /** Changed keys that keep their old value until the next start. */
  needRestart: string[];
}

/** Dotted keys that changed; the service's `config` has the new values already. */
export type ApplyChange = (changed: ReadonlySet<string>) => void | Promise<void>;

type Tree = Record<string, unknown>;

/**
 * Reads the configuration again and puts what may change into the running service's `config`, in place, so that whoever reads
 * a setting when it is needed sees the new value. A configuration with a mistake changes nothing.
 */
export class ConfigReload<S extends SectionName> {
  private readonly handlers: { name: string; apply: ApplyChange }[] = [];
  /** Changes that a handler failed on: they are tried again at the next reload. */
  private unapplied: ReadonlySet<string> = new Set();
  private running: Promise<ReloadOutcome | undefined> = Promise.resolve(undefined);

  constructor(
    private readonly config: ConfigOf<S>,
    private readonly load: () => LoadedConfig<S>,
    private readonly logger: Logger,
  ) {}

  /** For what is computed from settings: called after each reload that changed something. */
  onReload(name: string, apply: ApplyChange): void {
    this.handlers.push({ name, apply });
  }

  /** One at a time. Resolves with undefined when the configuration is refused; nothing has changed then. */
  reload(): Promise<ReloadOutcome | undefined> {
    const outcome = this.running.then(() => this.reloadOnce());
    // One that failed must not be the end of all later ones.
    this.running = outcome.catch(() => undefined);
    return outcome;
  }

  private async reloadOnce(): Promise<ReloadOutcome | undefined> {
    let loaded: LoadedConfig<S>;
    try {
      loaded = this.load();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.logger.error({ problems: error.problems }, 'the changed configuration is refused; the former one stays');
      return undefined;
    }
    const outcome = this.take(loaded.config);
    await this.tell(new Set([...outcome.applied, ...this.unapplied]));
    for (const warning of loaded.warnings) this.logger.warn({ warning }, 'configuration');
    this.logger.info(outcome, 'configuration reloaded');
    return outcome;
  }

  private async tell(changed: ReadonlySet<string>): Promise<void> {
    this.unapplied = new Set();
    if (changed.size === 0) return;
    for (const { name, apply } of this.handlers) {
      try {
        await apply(changed);
      } catch (error) {
        this.unapplied = changed;
        this.logger.error({ err: error, part: name }, 'a changed setting could not be applied; the next reload tries again');
      }
    }
  }

  private take(next: ConfigOf<S>): ReloadOutcome {
    const outcome: ReloadOutcome = { applied: [], needRestart: [] };
    for (const leaf of leavesOf()) {
      const path = configPathOf(leaf);
      const value = at(next, path);
      if (isDeepStrictEqual(value, at(this.config, path))) continue;
      if (isLive(leaf.dotted)) {
        (at(this.config, path.slice(0, -1)) as Tree)[path.at(-1)!] = value;
        outcome.applied.push(leaf.dotted);
      } else outcome.needRestart.push(leaf.dotted);
    }
    return outcome;
  }
}

function at(config: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? (value as Tree)[key] : undefined), config);
}
