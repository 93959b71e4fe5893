/**
 * The land of the sample game as a client knows it: which zones there are, what may be walked on, and what stands in the way. Everything in position
 * quanta of the world.
 */
import { All, type Bounds, type Ground, Rects } from "./fixed/terrain.ts";
import type { Zone } from "./gen/mmo.ts";
import type { Ground as GroundMessage, Wall } from "./gen/plains.ts";

/** Region is the rectangle of a zone. */
export interface Region extends Bounds {
  readonly zone: number;
}

/** Land is kept by whoever gets the messages: rows come and go, a Ground replaces the one before. */
export class Land {
  private message: GroundMessage | undefined;
  private regions: readonly Region[] = [];
  private made: Ground | undefined;

  /** walls stand in the way of everybody. */
  get walls(): readonly Wall[] {
    return this.message?.walls ?? [];
  }

  /** zones are those around, the own one first. */
  get zones(): readonly Region[] {
    return this.regions;
  }

  /** show takes what the server says that one walks on; undefined forgets it. */
  show(ground: GroundMessage | undefined): void {
    this.message = ground;
    this.made = undefined;
  }

  /** know takes the rows of the zones around, the own one first. What does not fit beside that is of another world, out of which the avatar has come. */
  know(rows: readonly Zone[]): void {
    const all = rows.map((r) => this.region(r));
    const fits = (r: Region): boolean => (this.message === undefined || holds(this.message, r)) && !overlap(all[0]!, r);
    const next = all.filter((r, i) => i === 0 || fits(r));
    if (JSON.stringify(next) === JSON.stringify(this.regions)) return;
    this.regions = next;
    this.made = undefined;
  }

  /** region is where a zone lies: the origin of its row is before its corner, by its margin. */
  private region(r: Zone): Region {
    return { zone: r.zone, x: r.originX + r.margin, y: r.originZ + r.margin, width: r.width, height: r.height };
  }

  /** bounds of what may be walked on, as far as it is known. */
  get bounds(): Bounds {
    const m = this.message;
    if (m !== undefined) return { x: m.x, y: m.z, width: m.width, height: m.height };
    const all = this.regions;
    if (all.length === 0) return { x: 0, y: 0, width: 1, height: 1 };
    const x = Math.min(...all.map((r) => r.x));
    const y = Math.min(...all.map((r) => r.y));
    return { x, y, width: Math.max(...all.map((r) => r.x + r.width)) - x, height: Math.max(...all.map((r) => r.y + r.height)) - y };
  }

  /** ground is what the movement rule walks on: the same as the zone's. */
  get ground(): Ground {
    if (this.made === undefined) {
      const rects = this.walls.map((w) => [w.x0, w.z0, w.x1, w.z1] as const);
      this.made = this.message === undefined ? new All(this.bounds) : new Rects(this.bounds, rects);
    }
    return this.made;
  }
}

function holds(g: GroundMessage, r: Bounds): boolean {
  return r.x >= g.x && r.y >= g.z && r.x + r.width <= g.x + g.width && r.y + r.height <= g.z + g.height;
}

function overlap(a: Bounds, b: Bounds): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
