/** The spectator's view: asked for when the camera looks beyond the own one, given back when it does not. A development right. */
import { type Plains, RequestError } from "../sdk/index.ts";
import type { Camera } from "./camera.ts";
import type { Crowd } from "./crowd.ts";
import type { Note } from "./page.ts";

const SETTLE_MS = 200;
const AGAIN_MS = 1000;
const FILLED_MS = 2000; // a spectator's replica that has not grown for so long is as full as it gets

export class Spectator {
  /** refused: the server has said no, and is not asked again in this session. */
  refused = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;
  private filled = { most: 0, at: 0, said: false };

  constructor(private readonly plains: Plains, private readonly camera: Camera, private readonly crowd: Crowd, private readonly note: Note) {
    // A session that was not recovered has no view but its own, and neither has one that came into another zone: ask again.
    setInterval(() => void this.match(), AGAIN_MS);
  }

  /** sees says whether the view is the whole world, by the button, by the wheel, or because it is that small. */
  get sees(): boolean {
    return this.camera.isWhole || this.plains.spectating > 0;
  }

  /** soon looks at the camera when it has come to rest. */
  soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.match(), SETTLE_MS);
  }

  /** parted: the world has more zones than the one that a spectator sees. */
  private get parted(): boolean {
    const { bounds, zones } = this.plains.land;
    const own = zones[0];
    return own !== undefined && (own.width < bounds.width || own.height < bounds.height);
  }

  private async match(): Promise<void> {
    const { plains, camera } = this;
    const zone = plains.zone;
    if (zone === undefined || plains.client.state !== "playing" || this.busy || plains.ownIndex() < 0) return;
    const { width, height } = plains.land.bounds;
    const radius = Math.ceil(Math.hypot(width, height));
    const wanted = camera.seesBeyond(zone.leaveRadius / zone.quantaPerMetre) || (camera.isWhole && radius > zone.leaveRadius);
    if (wanted === plains.spectating > 0 || (wanted && this.refused)) return;
    this.busy = true;
    this.crowd.quiet(1500);
    try {
      await plains.spectate(wanted ? radius : 0);
      this.filled = { most: 0, at: performance.now(), said: false };
      if (plains.spectating > 0) this.note.show(`Spectating ${this.parted ? `zone ${zone.zone}` : "the whole world"} · the circle is your own view`, "spectate");
      else this.note.hide("spectate");
    } catch (error) {
      this.refused = wanted;
      if (error instanceof RequestError) this.note.show(`The server does not let you spectate (${error.message}); only your own view is shown.`);
    } finally {
      this.busy = false;
    }
  }

  /** full tells when a spectator's replica has stopped growing short of the world, and says so once; undefined while it grows or holds all. */
  full(now: number): string | undefined {
    const { replica, status, spectating } = this.plains;
    if (spectating === 0 || status === undefined || this.parted) return undefined;
    const n = replica.count;
    if (n > this.filled.most * 1.002) this.filled = { ...this.filled, most: n, at: now };
    // some come and go between two messages of the server's status
    if (now - this.filled.at < FILLED_MS || n >= status.entities * 0.98 - 8) return undefined;
    const words = `${n.toLocaleString("en")} of ${status.entities.toLocaleString("en")}: a client holds no more`;
    if (!this.filled.said) this.note.show(words, "spectate");
    this.filled.said = true;
    return words;
  }
}
