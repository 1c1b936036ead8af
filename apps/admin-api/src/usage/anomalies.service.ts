import { Injectable } from '@nestjs/common';
import type { anomaliesQuerySchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { dailyAnomalies, historyRange, judgedDays } from './anomalies.js';
import { entityLabels } from './labels.queries.js';
import { ReportContext } from './report-context.js';
import { rangeBody } from './report-range.js';
import { dayStarts } from './reports.service.js';
import { SeriesReader } from './usage-series.queries.js';

@Injectable()
export class AnomaliesService {
  private readonly series = new SeriesReader();

  constructor(private readonly context: ReportContext) {}

  /** The most striking first. `limit` undefined: all, for the export. */
  async list(caller: Principal, query: Parsed<typeof anomaliesQuerySchema>, limit: number | undefined) {
    const tenantIds = this.context.scope(caller, undefined);
    const range = await this.context.range(query, '30d');
    const wide = historyRange(range);
    const dayStartsMs = dayStarts(wide);
    const days = judgedDays(wide, Date.now());
    const firstDay = dayStartsMs.length - dayStarts(range).length;
    const anomalies = await this.context.snapshot(async (tx) => {
      const series = await this.series.read(tx, { range: wide, boundariesMs: dayStartsMs, by: query.group, tenantIds }, query.metric);
      const found = [...series].flatMap(([id, values]) =>
        dailyAnomalies({ kind: query.group, id, label: id, values }, { metric: query.metric, sensitivity: query.sensitivity, firstDay, days }),
      );
      const top = found.sort((a, b) => b.score - a.score || compare(b.date, a.date) || compare(a.id, b.id)).slice(0, limit);
      const label = await entityLabels(tx, query.group, [...new Set(top.map(({ id }) => id))]);
      return top.map((anomaly) => ({ ...anomaly, label: label(anomaly.id) }));
    });
    return { group: query.group, metric: query.metric, sensitivity: query.sensitivity, ...rangeBody(range), anomalies };
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
