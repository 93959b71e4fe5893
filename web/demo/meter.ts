/** Rates out of counters: differences over a sliding window of two seconds. */
import type { Plains } from "../sdk/index.ts";

const WINDOW_MS = 2000;

interface Sampled {
  at: number;
  bytesIn: number;
  bytesOut: number;
  frames: number;
  stateBytes: number;
  changes: number;
}

/** Rates per second, and bytes of state per entity update (NaN when there was none). */
export interface Rates {
  bytesIn: number;
  bytesOut: number;
  frames: number;
  perUpdate: number;
}

export class Meter {
  private samples: Sampled[] = [];
  private connection: unknown;

  /** take samples the counters and returns the rates over the window. */
  take(plains: Plains, now: number): Rates {
    const c = plains.client.connection;
    if (c !== this.connection) {
      this.connection = c;
      this.samples = []; // counters begin anew with a connection
    }
    const t = c?.traffic;
    const changes = plains.replica.enters + plains.replica.updates;
    this.samples.push({
      at: now, bytesIn: t?.bytesIn ?? 0, bytesOut: t?.bytesOut ?? 0, frames: t?.stateFrames ?? 0, stateBytes: t?.stateBytes ?? 0, changes,
    });
    while (this.samples.length > 2 && now - this.samples[0]!.at > WINDOW_MS) this.samples.shift();
    const a = this.samples[0]!;
    const b = this.samples.at(-1)!;
    const seconds = (b.at - a.at) / 1000;
    if (seconds <= 0) return { bytesIn: 0, bytesOut: 0, frames: 0, perUpdate: NaN };
    return {
      bytesIn: (b.bytesIn - a.bytesIn) / seconds,
      bytesOut: (b.bytesOut - a.bytesOut) / seconds,
      frames: (b.frames - a.frames) / seconds,
      perUpdate: b.changes === a.changes ? NaN : (b.stateBytes - a.stateBytes) / (b.changes - a.changes),
    };
  }
}
