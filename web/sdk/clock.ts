/**
 * What tick the server is at, seen from here. A section of tick T that arrives at time a says that T is at most (a - offset)/tick old;
 * the smallest a - T·tick of the last seconds belongs to the least delayed section, everything above it is jitter. Time is given
 * (milliseconds of a monotonic clock), nothing here reads one.
 */

const BUCKETS = 5; // seconds of history
const JITTER_SAMPLES = 64;
const MAX_SLEW = 0.04; // of real time: the clock runs at most 4 % fast or slow while it corrects itself
const JUMP_MS = 400; // beyond this a correction is a jump: the tab slept, or the server restarted

/** TickClock estimates the newest tick that has had time to arrive. */
export class TickClock {
  private origin = 0;
  private readonly lows: { second: number; low: number }[] = [];
  private offset = NaN;
  private target = NaN;
  private slewedAt = NaN;
  private readonly late = new Float64Array(JITTER_SAMPLES);
  private samples = 0;

  /** tickMs is the length of a tick. */
  constructor(readonly tickMs: number) {}

  /** ready is true after the first section. */
  get ready(): boolean {
    return !Number.isNaN(this.target);
  }

  /** arrived notes a section of the given tick. */
  arrived(tick: number, nowMs: number): void {
    if (!this.ready) this.origin = tick | 0;
    const sample = nowMs - ((tick - this.origin) | 0) * this.tickMs;
    const second = Math.floor(nowMs / 1000);
    const last = this.lows.at(-1);
    if (last !== undefined && last.second === second) last.low = Math.min(last.low, sample);
    else this.lows.push({ second, low: sample });
    while (this.lows.length > 0 && this.lows[0]!.second <= second - BUCKETS) this.lows.shift();
    this.target = this.lows.reduce((m, b) => Math.min(m, b.low), Infinity);
    if (!(Math.abs(this.offset - this.target) < JUMP_MS)) {
      this.offset = this.target;
      this.slewedAt = nowMs;
    }
    this.late[this.samples++ % JITTER_SAMPLES] = sample - this.target;
  }

  /** seen is the newest tick, as a fraction, that has had time to arrive by nowMs; it never jumps while corrections are small. */
  seen(nowMs: number): number {
    const dt = Math.max(0, nowMs - this.slewedAt);
    this.slewedAt = Math.max(this.slewedAt, nowMs);
    const limit = dt * MAX_SLEW;
    this.offset += Math.max(-limit, Math.min(limit, this.target - this.offset));
    return this.origin + (nowMs - this.offset) / this.tickMs;
  }

  /** jitterMs is the 90th percentile of how late recent sections were against the least delayed one. */
  get jitterMs(): number {
    const n = Math.min(this.samples, JITTER_SAMPLES);
    if (n === 0) return 0;
    const sorted = this.late.slice(0, n).sort();
    return Math.max(0, sorted[Math.min(n - 1, Math.floor(n * 0.9))]!);
  }
}

/** RoundTrip keeps recent ping times (milliseconds): the smoothed one to show, the least one to reckon with. */
export class RoundTrip {
  private readonly recent: number[] = [];
  private smooth = NaN;

  add(ms: number): void {
    this.recent.push(ms);
    if (this.recent.length > 10) this.recent.shift();
    this.smooth = Number.isNaN(this.smooth) ? ms : this.smooth + (ms - this.smooth) * 0.25;
  }

  /** ms is the smoothed round trip, 0 before the first. */
  get ms(): number {
    return Number.isNaN(this.smooth) ? 0 : this.smooth;
  }

  /** floorMs is the least of the last ten. */
  get floorMs(): number {
    return this.recent.length === 0 ? 0 : Math.min(...this.recent);
  }

  /** medianMs is the median of the last ten: what an input will usually meet. */
  get medianMs(): number {
    if (this.recent.length === 0) return 0;
    const s = [...this.recent].sort((a, b) => a - b);
    return s[s.length >> 1]!;
  }
}
