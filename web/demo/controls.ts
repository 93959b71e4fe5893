/** Controls: keys, pointer, touch and the auto-pilot, all turned into one wanted velocity per tick. Positions in quanta. */
import { aim, MAX_SPEED, type Mover, type Want } from "../sdk/index.ts";
import type { Camera } from "./camera.ts";

const ON_COURSE = 24; // quanta: a course that passes this close to its target is kept, so that walking costs no inputs
const steps: Record<string, readonly [number, number]> = {
  KeyW: [0, -1], ArrowUp: [0, -1], KeyS: [0, 1], ArrowDown: [0, 1], KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0],
};

/** Commands that keys and gestures trigger. */
export interface Commands {
  /** steered: the wish changed; apply it at once. */
  steered(): void;
  zoom(factor: number): void;
  command(name: "whole" | "pilot" | "drop" | "graph" | "strike" | "talk" | "mouth"): void;
  /** strikeAt: a click or touch at a place of the window; true: there was somebody to strike at, so that nobody walks there. */
  strikeAt(px: number, py: number): boolean;
  /** used: the player has given a command of any kind. */
  used(): void;
}

export class Controls {
  private readonly held = new Set<string>();
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private pinch = 0;
  /** target to walk to, quanta. */
  target: { x: number; z: number } | undefined;
  pilot = false;
  /** world is what may be walked on, quanta. */
  world = { x: 0, y: 0, width: 0, height: 0 };
  /** quanta per metre. */
  quanta = 320;

  constructor(private readonly stage: HTMLElement, private readonly camera: Camera, private readonly commands: Commands) {
    addEventListener("keydown", (e) => this.key(e, true));
    addEventListener("keyup", (e) => this.key(e, false));
    addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => this.release());
    stage.addEventListener("pointerdown", (e) => this.down(e));
    stage.addEventListener("pointermove", (e) => this.move(e));
    for (const end of ["pointerup", "pointercancel"] as const) stage.addEventListener(end, (e) => this.up(e));
    stage.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    stage.addEventListener("contextmenu", (e) => e.preventDefault());
  }

  private release(): void {
    this.held.clear();
    this.pointers.clear();
    this.commands.steered();
  }

  private key(e: KeyboardEvent, down: boolean): void {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target instanceof HTMLInputElement) return;
    if (e.code in steps) {
      e.preventDefault();
      if (down === this.held.has(e.code)) return;
      if (down) this.held.add(e.code);
      else this.held.delete(e.code);
      this.target = undefined;
      if (down) this.commands.used();
      this.commands.steered();
      return;
    }
    if (!down) return;
    if ((e.code === "Space" || e.key === "Enter") && e.target instanceof Element && e.target.closest("button, summary") !== null) return; // it is pressed
    const act = e.code === "Space" ? "strike" : e.key === "Enter" ? "talk" : e.code === "KeyE" ? "mouth" : undefined;
    if (act !== undefined) {
      e.preventDefault();
      this.commands.used();
      if (act === "strike" || !e.repeat) this.commands.command(act); // a key that is held strikes on
      return;
    }
    if (/^[-+=_]$/.test(e.key) || /^Key[MBXN]$/.test(e.code)) this.commands.used();
    if (e.key === "+" || e.key === "=") this.commands.zoom(1.25);
    else if (e.key === "-" || e.key === "_") this.commands.zoom(0.8);
    else if (!e.repeat && e.code === "KeyM") this.commands.command("whole");
    else if (!e.repeat && e.code === "KeyB") this.commands.command("pilot");
    else if (!e.repeat && e.code === "KeyX") this.commands.command("drop");
    else if (!e.repeat && e.code === "KeyN") this.commands.command("graph");
  }

  private down(e: PointerEvent): void {
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(e.pointerId);
    this.commands.used();
    if (this.pointers.size === 0 && e.button === 0 && this.commands.strikeAt(e.clientX, e.clientY)) return;
    this.pointers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    if (this.pointers.size === 1 && e.button === 0) this.walkTo(e.clientX, e.clientY);
    else this.pinch = this.spread();
  }

  private move(e: PointerEvent): void {
    const p = this.pointers.get(e.pointerId);
    if (p === undefined) return;
    const moved = Math.hypot(e.clientX - p.x, e.clientY - p.y);
    if (this.pointers.size === 1 && moved < 3) return; // a resting finger trembles
    p.x = e.clientX;
    p.y = e.clientY;
    if (this.pointers.size === 1) {
      this.walkTo(p.x, p.y);
      return;
    }
    const spread = this.spread();
    if (this.pinch > 0 && spread > 0) this.commands.zoom(spread / this.pinch);
    this.pinch = spread;
  }

  private up(e: PointerEvent): void {
    this.pointers.delete(e.pointerId);
    this.pinch = 0;
  }

  private spread(): number {
    const [a, b] = [...this.pointers.values()];
    return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
  }

  private wheel(e: WheelEvent): void {
    e.preventDefault();
    this.commands.used();
    const lines = e.deltaMode === 1 ? e.deltaY * 16 : e.deltaY;
    this.commands.zoom(Math.exp(-Math.max(-240, Math.min(240, lines)) * 0.0016));
  }

  private walkTo(px: number, py: number): void {
    if (this.world.width === 0) return;
    const at = this.camera.worldAt(px, py);
    this.walkTowards(at.x * this.quanta, at.z * this.quanta);
    this.commands.steered();
  }

  /** want says what velocity the avatar in this state should have next; undefined keeps its course. */
  want(s: Readonly<Mover>): Want | undefined {
    let dx = 0;
    let dz = 0;
    for (const code of this.held) {
      dx += steps[code]![0];
      dz += steps[code]![1];
    }
    if (dx !== 0 || dz !== 0) return aim(dx, dz);
    if ((s.wantVx !== 0 || s.wantVz !== 0) && s.vx === 0 && s.vz === 0) this.target = undefined; // a wall is in the way
    if (this.pilot && this.target === undefined) this.wander(s);
    if (this.target === undefined) return { vx: 0, vz: 0 };
    dx = this.target.x - s.x;
    dz = this.target.z - s.z;
    const distance = Math.hypot(dx, dz);
    if (distance === 0) {
      this.target = undefined;
      return { vx: 0, vz: 0 };
    }
    if (distance <= MAX_SPEED) return { vx: dx, vz: dz }; // one more tick, exactly there
    const speed = Math.hypot(s.wantVx, s.wantVz);
    const along = dx * s.wantVx + dz * s.wantVz;
    const aside = Math.abs(dx * s.wantVz - dz * s.wantVx);
    if (speed > MAX_SPEED - 3 && along > 0 && aside <= ON_COURSE * speed) return undefined;
    return aim(dx, dz);
  }

  private wander(s: Readonly<Mover>): void {
    if (this.world.width === 0) return;
    const reach = 40 * this.quanta;
    const a = Math.random() * Math.PI * 2;
    this.walkTowards(s.x + Math.cos(a) * reach, s.z + Math.sin(a) * reach);
  }

  /** walkTowards sets the target, or what of the world is nearest to it. */
  private walkTowards(x: number, z: number): void {
    const w = this.world;
    this.target = {
      x: Math.round(Math.min(w.x + w.width - 1, Math.max(w.x, x))),
      z: Math.round(Math.min(w.y + w.height - 1, Math.max(w.y, z))),
    };
  }
}
