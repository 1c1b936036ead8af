/** What the provider did, exactly, so that tests and curious people can compare it with what the gateway recorded. */
export interface CallRecord {
  id: string;
  /** ISO time of arrival. */
  at: string;
  path: string;
  model: string;
  stream: boolean;
  /** 0 while it runs; 499 when the caller left first. */
  status: number;
  prompt_tokens: number;
  /** Tokens really sent; of a stream that was left early only those before. */
  completion_tokens: number;
}

const CALLS_KEPT_MAX = 20_000;

export class CallLog {
  private calls: CallRecord[] = [];
  private count = 0;

  add(record: CallRecord): CallRecord {
    this.count += 1;
    this.calls.push(record);
    // Trimmed in big steps: shifting one by one would cost a copy per call.
    if (this.calls.length > CALLS_KEPT_MAX * 2) this.calls = this.calls.slice(-CALLS_KEPT_MAX);
    return record;
  }

  clear(): void {
    this.calls = [];
    this.count = 0;
  }

  report(): { total: number; calls: CallRecord[] } {
    return { total: this.count, calls: this.calls.slice(-CALLS_KEPT_MAX) };
  }
}
