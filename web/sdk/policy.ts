/** When a client comes back: at once, the first time, and then with back-off. Plain arithmetic; time and chance are given. */

const AT_ONCE_MS = 50; // the jitter of "at once": a crowd that lost its gateway at one moment must not come back at one moment
const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 10_000;
const STEADY_MS = 2000; // a session that was live for so long begins anew; one that comes and goes faster is backed off from

/** Backoff remembers how it went. */
export class Backoff {
  private failures = 1; // who never had a session waits before the second attempt
  private liveSince: number | undefined;
  private everLive = false;

  /** live: a session began or went on. */
  live(nowMs: number): void {
    if (!this.everLive) this.failures = 0;
    this.everLive = true;
    this.liveSince = nowMs;
  }

  /** next is how long to wait after an end, milliseconds; random is from 0 to 1. */
  next(nowMs: number, random: number): number {
    if (this.liveSince !== undefined && nowMs - this.liveSince >= STEADY_MS) this.failures = 0;
    this.liveSince = undefined;
    const n = this.failures++;
    return random * (n === 0 ? AT_ONCE_MS : Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (n - 1)));
  }

  /** again is for an end that the very next attempt mends: another way in is known. */
  again(random: number): number {
    return random * AT_ONCE_MS;
  }
}
