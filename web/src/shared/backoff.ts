/** Waits that grow, with jitter, so that a thousand pages do not come back in the same second. */
export class Backoff {
  private tries = 0;

  constructor(
    private readonly firstMs = 500,
    private readonly mostMs = 15_000,
  ) {}

  next(): number {
    const wide = Math.min(this.mostMs, this.firstMs * 2 ** this.tries++);
    return wide / 2 + Math.random() * (wide / 2);
  }

  reset(): void {
    this.tries = 0;
  }
}
