/**
 * Counters, gauges and histograms for the hot path: a child is found through maps of strings that exist already, and a number is
 * added to; labels become text when Prometheus scrapes. (prom-client's own children hash their labels at every increment.) A
 * family holds a bounded number of series; what comes after is counted under `other`.
 */
export interface FamilyOptions {
  name: string;
  help: string;
  labelNames?: readonly string[];
  /** Most series of this family; a new combination beyond it is counted under `other`. */
  seriesMax?: number;
}

const SERIES_MAX = 1000;
const OTHER = 'other';

interface Sample {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

/** A family as the reference page shows it. */
export interface FamilyDescription {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly type: 'counter' | 'gauge' | 'histogram';
}

/** What prom-client's registry asks of a metric. */
export interface MetricSource {
  name: string;
  get(): Promise<{ name: string; help: string; type: string; values: Sample[]; aggregator: string }>;
  reset(): void;
}

abstract class Family<Child> implements MetricSource {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  protected readonly children = new Map<string, { labels: Record<string, string>; child: Child }>();
  /** The same children by their first label, then the second and so on. */
  private readonly index = new Map<string, unknown>();
  private readonly seriesMax: number;
  abstract readonly type: 'counter' | 'gauge' | 'histogram';

  constructor(options: FamilyOptions) {
    this.name = options.name;
    this.help = options.help;
    this.labelNames = options.labelNames ?? [];
    this.seriesMax = options.seriesMax ?? SERIES_MAX;
  }

  /**
   * The child of these label values, in the order of `labelNames`. Found label by label, so that the hot path joins and hashes no
   * text.
   */
  child(...values: readonly string[]): Child {
    let node: unknown = this.index;
    for (let i = 0; i < values.length; i++) {
      node = (node as Map<string, unknown>).get(values[i]!);
      if (node === undefined) return this.add(values);
    }
    return values.length === this.labelNames.length && values.length > 0 ? (node as Child) : this.add(values);
  }

  private add(values: readonly string[]): Child {
    if (values.length !== this.labelNames.length) throw new Error(`${this.name} takes ${this.labelNames.length} labels, not ${values.length}`);
    const found = this.children.get(values.join('\u0000'));
    if (found) return found.child;
    const isOther = values.length > 0 && values.every((value) => value === OTHER);
    if (this.children.size >= this.seriesMax && !isOther) return this.child(...values.map(() => OTHER));
    const child = this.make();
    this.children.set(values.join('\u0000'), { labels: Object.fromEntries(this.labelNames.map((name, i) => [name, values[i]!])), child });
    let node = this.index;
    values.forEach((value, i) => {
      if (i === values.length - 1) return void node.set(value, child);
      const next = (node.get(value) as Map<string, unknown> | undefined) ?? new Map<string, unknown>();
      node.set(value, next);
      node = next;
    });
    return child;
  }

  /** Forgets a series, such as the one of a deleted route. */
  remove(...values: readonly string[]): void {
    this.children.delete(values.join('\u0000'));
    let node: Map<string, unknown> | undefined = this.index;
    for (const value of values.slice(0, -1)) node = node?.get(value) as Map<string, unknown> | undefined;
    node?.delete(values.at(-1)!);
  }

  reset(): void {
    this.children.clear();
    this.index.clear();
  }

  get() {
    const values = [...this.children.values()].flatMap(({ labels, child }) => this.samples(labels, child));
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, values, aggregator: 'sum' });
  }

  protected abstract make(): Child;
  protected abstract samples(labels: Record<string, string>, child: Child): Sample[];
}

export class Count {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
}

export class Level {
  value = 0;
  set(value: number): void {
    this.value = value;
  }
}

export class Distribution {
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    const { bounds } = this;
    for (let index = 0; index < bounds.length; index++) {
      if (value <= bounds[index]!) {
        this.counts[index]! += 1;
        return;
      }
    }
  }
}

export class CounterFamily extends Family<Count> {
  readonly type = 'counter';
  protected make(): Count {
    return new Count();
  }
  protected samples(labels: Record<string, string>, child: Count): Sample[] {
    return [{ value: child.value, labels }];
  }
}

export class GaugeFamily extends Family<Level> {
  readonly type = 'gauge';
  private readonly refresh: (() => void) | undefined;
  constructor(options: FamilyOptions & { /** Called before each scrape, to read what is cheap to read then. */ refresh?: () => void }) {
    super(options);
    this.refresh = options.refresh;
  }
  override get() {
    this.refresh?.();
    return super.get();
  }
  protected make(): Level {
    return new Level();
  }
  protected samples(labels: Record<string, string>, child: Level): Sample[] {
    return [{ value: child.value, labels }];
  }
}

export class HistogramFamily extends Family<Distribution> {
  readonly type = 'histogram';
  private readonly bounds: readonly number[];
  constructor(options: FamilyOptions & { /** Upper bounds, ascending. */ buckets: readonly number[] }) {
    super(options);
    this.bounds = options.buckets;
  }
  protected make(): Distribution {
    return new Distribution(this.bounds);
  }
  protected samples(labels: Record<string, string>, child: Distribution): Sample[] {
    let below = 0;
    const buckets = this.bounds.map((bound, index) => {
      below += child.counts[index]!;
      return { value: below, labels: { ...labels, le: bound }, metricName: `${this.name}_bucket` };
    });
    return [
      ...buckets,
      { value: child.count, labels: { ...labels, le: '+Inf' }, metricName: `${this.name}_bucket` },
      { value: child.sum, labels, metricName: `${this.name}_sum` },
      { value: child.count, labels, metricName: `${this.name}_count` },
    ];
  }
}
