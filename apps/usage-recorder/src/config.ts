import type { ServiceContext } from '@omg/service-kit';

/** The sections of the configuration that the recorder reads. */
export const SECTIONS = ['database', 'redis', 'nats', 'secrets', 'security', 'budgets', 'reporting', 'retention', 'metering', 'recorder'] as const;

export type RecorderContext = ServiceContext<(typeof SECTIONS)[number]>;
