/** The camera: follows the avatar when near, drifts to the world's centre as it rises, until the whole world fits. Metres and CSS pixels. */

const EASE_MS = 110;

export class Camera {
  /** x, z is the centre in metres, scale CSS pixels per metre. */
  x = 0;
  z = 0;
  scale = 8;
  width = 1;
  height = 1;
  private wanted = NaN; // scale to ease to
  /** what the scale holds on to when the window changes; free is whatever the player chose. */
  private hold: "near" | "whole" | "free" = "near";
  private fitted = 0; // eases to 1 while the whole world is held
  private near = 8; // scale at which the view radius fills the screen
  private far = 1; // scale at which the world fits
  private worldX = 0;
  private worldZ = 0;
  private cornerX = 0;
  private cornerZ = 0;
  private settled = false;
  /** left for the panel on the right, CSS pixels: the world is fitted into what remains. */
  inset = 0;
  /** top and bottom are taken by the header and the dock, CSS pixels: avatar and world are centred between them. */
  top = 0;
  bottom = 0;

  /** resize takes the canvas in CSS pixels. */
  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
  }

  /** know takes the world's size, the view radius and the world's corner in metres; call it every frame, it refits what is held. */
  know(worldX: number, worldZ: number, viewRadius: number, cornerX = 0, cornerZ = 0): void {
    this.cornerX = cornerX;
    this.cornerZ = cornerZ;
    this.worldX = worldX;
    this.worldZ = worldZ;
    const w = Math.max(200, this.width - this.inset);
    const h = Math.max(80, this.height - this.top - this.bottom);
    this.near = Math.min(w, this.height) / (viewRadius * 2.16);
    // a world smaller than the own view is never magnified
    this.far = Math.min(this.near, (w * 0.94) / worldX, (h * 0.97) / worldZ);
    if (this.hold === "free") this.wanted = Math.min(this.near * 6, Math.max(this.far, this.wanted));
    else this.wanted = this.hold === "whole" ? this.far : this.near;
    if (!this.settled) this.scale = this.wanted;
  }

  /** zoom multiplies the scale; as far out as it goes is the whole world. */
  zoom(factor: number): void {
    if (Number.isNaN(this.wanted)) return;
    this.wanted = Math.min(this.near * 6, Math.max(this.far, this.wanted * factor));
    this.hold = factor < 1 && this.wanted === this.far ? "whole" : "free";
  }

  /** whole goes to the whole world, or back to the avatar. */
  whole(on: boolean): void {
    this.hold = on ? "whole" : "near";
  }

  /** isWhole says whether the whole world is held in view, whatever becomes of the window. */
  get isWhole(): boolean {
    return this.hold === "whole";
  }

  /** seesBeyond says whether the wanted view reaches clearly beyond a radius around the avatar. */
  seesBeyond(radius: number): boolean {
    return Math.min(this.width - this.inset, this.height) / 2 / this.wanted > radius * 1.5;
  }

  /** follow eases towards the avatar (metres); dt in ms. */
  follow(x: number, z: number, dt: number, still: boolean): void {
    if (Number.isNaN(this.wanted)) return;
    const k = still || !this.settled ? 1 : 1 - Math.exp(-dt / EASE_MS);
    this.scale *= (this.wanted / this.scale) ** k;
    if (Math.abs(this.scale / this.wanted - 1) < 0.001) this.scale = this.wanted;
    this.settled = true;
    // 0 near the avatar, 1 when the world fits
    const span = Math.log(this.near * 0.7) - Math.log(this.far);
    const rise = span <= 0 ? 0 : Math.min(1, Math.max(0, (Math.log(this.near * 0.7) - Math.log(this.scale)) / span));
    this.fitted += ((this.isWhole ? 1 : 0) - this.fitted) * k;
    const blend = Math.max(rise * rise * (3 - 2 * rise), this.fitted);
    this.x = x + (this.cornerX + this.worldX / 2 - x) * blend + this.inset / 2 / this.scale;
    this.z = z + (this.cornerZ + this.worldZ / 2 - z) * blend + (this.bottom - this.top) / 2 / this.scale;
  }

  /** screenX, screenZ map metres to CSS pixels, worldAt maps back. */
  screenX(x: number): number {
    return (x - this.x) * this.scale + this.width / 2;
  }

  screenZ(z: number): number {
    return (z - this.z) * this.scale + this.height / 2;
  }

  worldAt(px: number, py: number): { x: number; z: number } {
    return { x: (px - this.width / 2) / this.scale + this.x, z: (py - this.height / 2) / this.scale + this.z };
  }
}
