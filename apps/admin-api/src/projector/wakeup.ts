/** A sleeper that can be woken. A wake-up during work counts for the next sleep. */
export class Wakeup {
  private pending = false;
  private resolve: (() => void) | undefined;
  private isOver = false;
  private finish: (() => void) | undefined;

  wake(): void {
    this.pending = true;
    this.resolve?.();
  }

  /** Ends every wait, now and later. */
  end(): void {
    this.isOver = true;
    this.finish?.();
  }

  /** Resolves after `ms`, or at once when woken. `deaf`: only the time counts; for pauses after a failure. */
  async wait(ms: number, options: { deaf?: boolean } = {}): Promise<void> {
    if (this.isOver) return;
    if (this.pending && !options.deaf) {
      this.pending = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.finish = () => {
        clearTimeout(timer);
        resolve();
      };
      this.resolve = options.deaf ? undefined : this.finish;
    });
    this.resolve = this.finish = undefined;
    if (!options.deaf) this.pending = false;
  }
}
