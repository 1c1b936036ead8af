import { Injectable } from '@nestjs/common';
import type { anomaliesQuerySchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { dailyAnomalies, historyRange, type Metric } from './anomalies.js';
import { entityLabels } from './labels.queries.js';
import { ReportContext } from './report-context.js';
import { rangeBody } from './report-range.js';
import { dayStarts } from './reports.service.js';
import { sumUsage, type UsageSum } from './usage.queries.js';

@Injectable()
export class AnomaliesService {
  constructor(private readonly context: ReportContext) {}

  /** The most striking first. `limit` undefined: all, for the export. */
  async list(caller: Principal, query: Parsed<typeof anomaliesQuerySchema>, limit: number | undefined) {
    const tenantIds = this.context.scope(caller, undefined);
    const range = await this.context.range(query, '30d');
    const wide = historyRange(range);
    const dayStartsMs = dayStarts(wide);
    const firstDay = dayStartsMs.length - dayStarts(range).length;
    const anomalies = await this.context.snapshot(async (tx) => {
      const rows = await sumUsage(tx, { range: wide, boundariesMs: dayStartsMs, by: query.group, tenantIds });
      const found = [...dailyValues(rows, query.metric, dayStartsMs.length)].flatMap(([id, values]) =>
        dailyAnomalies(
          { kind: query.group, id, label: id, dayStartsMs, values },
          { metric: query.metric, sensitivity: query.sensitivity, firstDay, timezone: range.timezone, nowMs: Date.now() },
        ),
      );
      const top = found.sort((a, b) => b.score - a.score || (a.date < b.date ? 1 : -1)).slice(0, limit);
      const label = await entityLabels(tx, query.group, [...new Set(top.map(({ id }) => id))]);
      return top.map((anomaly) => ({ ...anomaly, label: label(anomaly.id) }));
    });
    return { group: query.group, metric: query.metric, sensitivity: query.sensitivity, ...rangeBody(range), anomalies };
  }
}

function dailyValues(rows: readonly UsageSum[], metric: Metric, days: number): Map<string, number[]> {
  const read: Record<Metric, (row: UsageSum) => number> = {
    cost: (row) => Number(row.costNano) / 1e9,
    requests: (row) => Number(row.requests),
    tokens: (row) => Number(row.tokens),
  };
  const byId = new Map<string, number[]>();
  for (const row of rows) {
    let values = byId.get(row.id);
    if (!values) byId.set(row.id, (values = Array.from({ length: days }, () => 0)));
    values[row.group] = values[row.group]! + read[metric](row);
  }
  return byId;
}
