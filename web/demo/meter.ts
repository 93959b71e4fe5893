/** Rates out of counters: differences over a sliding window of two seconds. */
import type { Plains } from "../sdk/index.ts";

const WINDOW_MS = 2000;

interface Sampled {
  at: number;
  bytesIn: number;
  bytesOut: number;
  frames: number;
  stateBytes: number;
  pairTicks: number;
}

/** Rates per second, and bytes of state frames per visible entity and tick (NaN while nobody is visible): the server's bytes_per_entity_update. */
export interface Rates {
  bytesIn: number;
  bytesOut: number;
  frames: number;
  perPair: number;
}

export class Meter {
  private samples: Sampled[] = [];
  private connection: unknown;
  private pairTicks = 0; // visible entities summed over ticks

  /** take samples the counters and returns the rates over the window. */
  take(plains: Plains, now: number): Rates {
    const c = plains.client.connection;
    if (c !== this.connection) {
      this.connection = c;
      this.samples = []; // counters begin anew with a connection
    }
    const t = c?.traffic;
    const before = this.samples.at(-1);
    if (before !== undefined) this.pairTicks += (plains.replica.count * (plains.zone?.tickHz ?? 0) * (now - before.at)) / 1000;
    this.samples.push({
      at: now, bytesIn: t?.bytesIn ?? 0, bytesOut: t?.bytesOut ?? 0, frames: t?.stateFrames ?? 0, stateBytes: t?.stateBytes ?? 0,
      pairTicks: this.pairTicks,
    });
    while (this.samples.length > 2 && now - this.samples[0]!.at > WINDOW_MS) this.samples.shift();
    const a = this.samples[0]!;
    const b = this.samples.at(-1)!;
    const seconds = (b.at - a.at) / 1000;
    if (seconds <= 0) return { bytesIn: 0, bytesOut: 0, frames: 0, perPair: NaN };
    return {
      bytesIn: (b.bytesIn - a.bytesIn) / seconds,
      bytesOut: (b.bytesOut - a.bytesOut) / seconds,
      frames: (b.frames - a.frames) / seconds,
      perPair: b.pairTicks === a.pairTicks ? NaN : (b.stateBytes - a.stateBytes) / (b.pairTicks - a.pairTicks),
    };
  }
}
