/**
 * Where bodies may walk, for prediction: the twin of pkg/game/terrain, which says what the rules are. Everything is in whole world quanta; walks give the same
 * bits as the zone's. Maps do not change after they are made. There is no line of sight here: a client asks nobody what it sees.
 */
import type { Vec } from "./vec.ts";

/** Ground is what a movement rule walks on. walk makes out the place that a body of a radius gets to from (x, y), by at most (dx, dy). */
export interface Ground {
  walk(x: number, y: number, dx: number, dy: number, radius: number, out: Vec): Vec;
  free(x: number, y: number, radius: number): boolean;
}

/** Bounds hold the centres of bodies: from (x, y) up to, not including, (x + width, y + height). */
export interface Bounds {
  x: number;
  y: number;
  width: number;
  height: number;
}

const MAX_RADIUS = 1 << 20;
const STRIDE = 16;
const MAX_STRIDES = 256;

const size = (radius: number): number => Math.min(Math.max(radius, 0), MAX_RADIUS);
const limited = (v: number, low: number, high: number): number => Math.min(Math.max(v, low), high);

/** All is a map on which nothing is in the way but its bounds. Who begins outside comes in. */
export class All implements Ground {
  constructor(readonly bounds: Bounds) {}

  walk(x: number, y: number, dx: number, dy: number, _radius: number, out: Vec): Vec {
    const b = this.bounds;
    out.x = limited(x + dx, b.x, b.x + b.width - 1);
    out.y = limited(y + dy, b.y, b.y + b.height - 1);
    return out;
  }

  free(x: number, y: number): boolean {
    const b = this.bounds;
    return x >= b.x && y >= b.y && x < b.x + b.width && y < b.y + b.height;
  }
}

/** Striding walks in strides: each along the longer axis of the whole way first, then along the other. */
abstract class Striding implements Ground {
  protected readonly low: readonly [number, number];
  protected readonly high: readonly [number, number];

  constructor(readonly bounds: Bounds) {
    this.low = [bounds.x, bounds.y];
    this.high = [bounds.x + bounds.width - 1, bounds.y + bounds.height - 1];
  }

  abstract free(x: number, y: number, radius: number): boolean;
  /** slide moves a body at p along one axis by d, with q on the other, and returns where it stops. */
  protected abstract slide(p: number, q: number, axis: 0 | 1, d: number, radius: number): number;

  walk(x: number, y: number, dx: number, dy: number, radius: number, out: Vec): Vec {
    out.x = x;
    out.y = y;
    const r = size(radius);
    if (!this.free(x, y, r)) return out;
    const steep = Math.abs(dy) > Math.abs(dx);
    const n = Math.min(Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) / STRIDE), MAX_STRIDES);
    let doneX = 0;
    let doneY = 0;
    for (let i = 1; i <= n; i++) {
      const toX = Math.trunc((dx * i) / n);
      const toY = Math.trunc((dy * i) / n);
      if (steep && toY !== doneY) out.y = this.slide(out.y, out.x, 1, toY - doneY, r);
      if (toX !== doneX) out.x = this.slide(out.x, out.y, 0, toX - doneX, r);
      if (!steep && toY !== doneY) out.y = this.slide(out.y, out.x, 1, toY - doneY, r);
      doneX = toX;
      doneY = toY;
    }
    return out;
  }

  protected holds(x: number, y: number): boolean {
    return x >= this.low[0] && y >= this.low[1] && x <= this.high[0] && y <= this.high[1];
  }
}

/** Rect blocks from (x0, y0) up to, not including, (x1, y1). */
export type Rect = readonly [x0: number, y0: number, x1: number, y1: number];

/** Rects is a map of rectangles that block. What of them lies out of bounds does not exist. */
export class Rects extends Striding {
  private readonly boxes: Rect[] = []; // with last places instead of those behind them
  private readonly buckets: number[][] = []; // indices of the boxes that touch each
  private readonly columns: number;
  private readonly rows: number;
  private readonly side: number; // of a bucket

  constructor(bounds: Bounds, rects: readonly Rect[]) {
    super(bounds);
    for (const [x0, y0, x1, y1] of rects) {
      if (x0 >= x1 || y0 >= y1) throw new RangeError(`rectangle from (${x0}, ${y0}) to (${x1}, ${y1}): need x0 < x1 and y0 < y1`);
      const box = [Math.max(x0, this.low[0]), Math.max(y0, this.low[1]), Math.min(x1 - 1, this.high[0]), Math.min(y1 - 1, this.high[1])] as const;
      if (box[0] <= box[2] && box[1] <= box[3]) this.boxes.push(box);
    }
    let side = 16;
    const across = (n: number): number => Math.floor((n - 1) / side) + 1;
    while (across(bounds.width) * across(bounds.height) > 4 * this.boxes.length + 16 || this.listed(side) > 15 * this.boxes.length + 16) {
      if (across(bounds.width) * across(bounds.height) === 1) break;
      side *= 2;
    }
    this.side = side;
    this.columns = across(bounds.width);
    this.rows = across(bounds.height);
    for (let i = 0; i < this.columns * this.rows; i++) this.buckets.push([]);
    this.boxes.forEach((b, i) => {
      for (let row = this.row(b[1]); row <= this.row(b[3]); row++) {
        for (let column = this.column(b[0]); column <= this.column(b[2]); column++) this.buckets[row * this.columns + column]!.push(i);
      }
    });
  }

  private listed(side: number): number {
    let n = 0;
    const at = (v: number, axis: 0 | 1): number => Math.floor((v - this.low[axis]) / side);
    for (const b of this.boxes) n += (at(b[2], 0) - at(b[0], 0) + 1) * (at(b[3], 1) - at(b[1], 1) + 1);
    return n;
  }

  private column(x: number): number {
    return limited(Math.floor((x - this.low[0]) / this.side), 0, this.columns - 1);
  }

  private row(y: number): number {
    return limited(Math.floor((y - this.low[1]) / this.side), 0, this.rows - 1);
  }

  /** stop returns how far the front of a body gets over an area, which is what it passes over: to, or less if a box is there. */
  private stop(x0: number, y0: number, x1: number, y1: number, axis: 0 | 1 | -1, forwards: boolean, to: number, r: number): number {
    for (let row = this.row(y0), lastRow = this.row(y1); row <= lastRow; row++) {
      for (let column = this.column(x0), last = this.column(x1); column <= last; column++) {
        for (const i of this.buckets[row * this.columns + column]!) {
          const b = this.boxes[i]!;
          if (b[0] > x1 || b[1] > y1 || b[2] < x0 || b[3] < y0) continue;
          if (axis === -1) return NaN; // free asks only whether there is any
          to = forwards ? Math.min(to, b[axis]! - r - 1) : Math.max(to, b[axis + 2]! + r + 1);
        }
      }
    }
    return to;
  }

  free(x: number, y: number, radius: number): boolean {
    const r = size(radius);
    return this.holds(x, y) && this.stop(x - r, y - r, x + r, y + r, -1, true, 0, r) === 0;
  }

  protected slide(p: number, q: number, axis: 0 | 1, d: number, r: number): number {
    const to = limited(p + d, this.low[axis], this.high[axis]);
    const from = d > 0 ? p + r : to - r;
    const end = d > 0 ? to + r : p - r;
    return axis === 0 ? this.stop(from, q - r, end, q + r, 0, d > 0, to, r) : this.stop(q - r, from, q + r, end, 1, d > 0, to, r);
  }
}

/** GridData describes a Grid: cells by rows from the lowest y on, a bit per cell in blocked, the lowest first. */
export interface GridData {
  x: number;
  y: number;
  cell: number;
  columns: number;
  rows: number;
  blocked?: Uint8Array | undefined;
  heights?: Uint16Array | undefined;
  /** climb, drop: the most that the ground may rise and fall from a cell to the next; 0 is anything. */
  climb: number;
  drop: number;
}

const GRID_MAGIC = 0x31475854; // "TXG1"
const GRID_HEADER = 32;

/** parseGrid reads a file of pkg/game/terrain, whose gridfile.go draws it. What hides sight is left out. */
export function parseGrid(bytes: Uint8Array): GridData {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < GRID_HEADER || view.getUint32(0, true) !== GRID_MAGIC) throw new RangeError(`grid file of ${bytes.length} bytes: need "TXG1" and a header of 32 bytes`);
  const flags = bytes[4]!;
  const word = (at: number): number => view.getInt32(at, true);
  const data: GridData = { x: word(8), y: word(12), cell: word(16), columns: word(20), rows: word(24), climb: view.getUint16(28, true), drop: view.getUint16(30, true) };
  const cells = data.columns * data.rows;
  const set = Math.ceil(cells / 8);
  const want = GRID_HEADER + (flags & 1) * set + ((flags >> 1) & 1) * set + ((flags >> 2) & 1) * 2 * cells;
  if (flags > 7 || data.cell < 1 || data.columns < 1 || data.rows < 1 || bytes.length !== want) throw new RangeError(`grid file of ${bytes.length} bytes does not have what its header says`);
  let at = GRID_HEADER;
  if ((flags & 1) !== 0) data.blocked = bytes.slice(at, (at += set));
  if ((flags & 2) !== 0) at += set;
  if ((flags & 4) !== 0) {
    data.heights = new Uint16Array(cells);
    for (let i = 0; i < cells; i++) data.heights[i] = view.getUint16(at + 2 * i, true);
  }
  return data;
}

/** Grid is a map of square cells, each to be walked on or not, with heights. */
export class Grid extends Striding {
  constructor(private readonly data: GridData) {
    super({ x: data.x, y: data.y, width: data.columns * data.cell, height: data.rows * data.cell });
  }

  /** cellOf returns the column or row of a coordinate; those out of bounds count as the nearest in them. */
  private cellOf(axis: 0 | 1, v: number): number {
    return Math.floor((limited(v, this.low[axis], this.high[axis]) - this.low[axis]) / this.data.cell);
  }

  private index(axis: 0 | 1, i: number, other: number): number {
    return axis === 0 ? other * this.data.columns + i : i * this.data.columns + other;
  }

  private blocked(axis: 0 | 1, i: number, low: number, high: number): boolean {
    const { blocked } = this.data;
    if (blocked === undefined) return false;
    for (let other = low; other <= high; other++) {
      const at = this.index(axis, i, other);
      if (((blocked[at >> 3]! >> (at & 7)) & 1) !== 0) return true;
    }
    return false;
  }

  private passable(axis: 0 | 1, i: number, j: number, other: number): boolean {
    const { heights, climb, drop } = this.data;
    if (heights === undefined) return true;
    const rise = heights[this.index(axis, j, other)]! - heights[this.index(axis, i, other)]!;
    return (climb === 0 || rise <= climb) && (drop === 0 || -rise <= drop);
  }

  free(x: number, y: number, radius: number): boolean {
    if (!this.holds(x, y)) return false;
    const r = size(radius);
    const low = this.cellOf(0, x - r);
    const high = this.cellOf(0, x + r);
    for (let row = this.cellOf(1, y - r), last = this.cellOf(1, y + r); row <= last; row++) if (this.blocked(1, row, low, high)) return false;
    return true;
  }

  protected slide(p: number, q: number, axis: 0 | 1, d: number, r: number): number {
    const other = axis === 0 ? 1 : 0;
    const corner = this.low[axis];
    const { cell } = this.data;
    const low = this.cellOf(other, q - r);
    const high = this.cellOf(other, q + r);
    const at = this.cellOf(other, q);
    let to = limited(p + d, corner, this.high[axis]);
    const step = d > 0 ? 1 : -1;
    const front = step * r;
    /** border is the last place before cell i for a body that comes to it with something of this reach in front */
    const border = (i: number, reach: number): number => (d > 0 ? corner + i * cell - reach - 1 : corner + (i + 1) * cell + reach);
    for (let i = this.cellOf(axis, p + front) + step, last = this.cellOf(axis, to + front) + step; i * step < last * step; i += step) {
      if (this.blocked(axis, i, low, high)) {
        to = border(i, r);
        break;
      }
    }
    for (let i = this.cellOf(axis, p), last = this.cellOf(axis, to); i !== last; i += step) {
      if (!this.passable(axis, i, i + step, at)) {
        to = border(i + step, 0);
        break;
      }
    }
    return to;
  }
}
