import { createHash } from 'node:crypto';
import { maskUrl } from '@omg/domain';

/** One receiver of an alert. Its id is a digest: queues and history do not hold addresses that may carry credentials. */
export interface Target {
  id: string;
  channel: 'email' | 'webhook';
  address: string;
}

export interface Channels {
  enabled: boolean;
  emails: readonly string[];
  webhooks: readonly string[];
}

const TARGETS_MAX = 200;

export function targetsOf({ enabled, emails, webhooks }: Channels): Target[] {
  if (!enabled) return [];
  const targets = [...emails.map((address) => targetOf('email', address)), ...webhooks.map((address) => targetOf('webhook', address))];
  return [...new Map(targets.map((target) => [target.id, target])).values()].slice(0, TARGETS_MAX);
}

function targetOf(channel: Target['channel'], address: string): Target {
  return { id: `${channel}-${createHash('sha256').update(`${channel} ${address}`).digest('hex').slice(0, 24)}`, channel, address };
}

/** Addresses as the history shows them. */
export function shownChannels(targets: readonly Target[]): { emails: string[]; webhooks: string[] } {
  const of = (channel: Target['channel']) => targets.filter((target) => target.channel === channel).map((target) => target.address);
  return { emails: of('email'), webhooks: of('webhook').map(maskUrl) };
}
