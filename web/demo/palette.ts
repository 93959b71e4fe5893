/** Colours: the page's variables for the canvases, and a colour-blind-safe palette for entities (after Okabe and Ito, tuned per theme). */

/** Rgb is 0-255 each. */
export type Rgb = readonly [number, number, number];

const dark: Rgb[] = [[86, 180, 233], [230, 159, 0], [64, 201, 162], [240, 228, 66], [224, 139, 184], [240, 118, 58], [140, 164, 255]];
const light: Rgb[] = [[0, 114, 178], [178, 110, 0], [0, 128, 96], [140, 122, 0], [168, 70, 124], [190, 70, 0], [66, 84, 190]];

/** Rgba is 0-255 each, alpha 0-1. */
export type Rgba = readonly [number, number, number, number];

/** Theme is what the canvases draw with. */
export interface Theme {
  entities: Rgb[];
  own: Rgb;
  wolf: Rgb;
  coin: Rgb;
  den: Rgb;
  /** flash is what somebody who was just hit looks like. */
  flash: Rgb;
  ownLine: Rgba;
  grid: Rgba;
  gridStrong: Rgba;
  border: Rgba;
  void: Rgba;
  aoi: Rgba;
  aoiFill: Rgba;
  wall: Rgba;
  wallEdge: Rgba;
  /** zone is the border between zones. */
  zone: Rgba;
  /** well, hurt, dying: health bars, on trough. */
  well: Rgba;
  hurt: Rgba;
  dying: Rgba;
  trough: Rgba;
  dyingRgb: Rgb;
  spark: string;
}

/** readTheme reads the variables as they are now; call it again when the preference changes. */
export function readTheme(): Theme {
  const css = getComputedStyle(document.documentElement);
  const text = (name: string): string => css.getPropertyValue(name).trim();
  const rgba = (name: string): Rgba => parse(text(name));
  const rgb = (name: string): Rgb => rgba(name).slice(0, 3) as unknown as Rgb;
  const own = rgba("--own");
  return {
    entities: matchMedia("(prefers-color-scheme: light)").matches ? light : dark,
    own: rgb("--own"), ownLine: own,
    wolf: rgb("--wolf"), coin: rgb("--coin"), den: rgb("--den"), flash: rgb("--text"),
    grid: rgba("--grid"), gridStrong: rgba("--grid-strong"), border: rgba("--border"), void: rgba("--void"),
    aoi: rgba("--aoi"), aoiFill: rgba("--aoi-fill"), spark: text("--spark"),
    wall: rgba("--wall"), wallEdge: rgba("--wall-edge"), zone: rgba("--zone"), well: rgba("--good"), hurt: rgba("--warn"), dying: rgba("--bad"), trough: rgba("--trough"), dyingRgb: rgb("--bad"),
  };
}

/** parse reads the two notations that style.css uses: #rrggbb and rgba(r, g, b, a), which minifiers write as #rrggbbaa or shorter. */
function parse(colour: string): Rgba {
  if (colour.startsWith("#")) {
    let digits = colour.slice(1);
    if (digits.length <= 4) digits = [...digits].map((d) => d + d).join("");
    const part = (i: number): number => parseInt(digits.slice(i, i + 2), 16);
    return [part(0), part(2), part(4), digits.length === 8 ? part(6) / 255 : 1];
  }
  const n = colour.match(/[\d.]+/g)?.map(Number) ?? [];
  return [n[0] ?? 0, n[1] ?? 0, n[2] ?? 0, n[3] ?? 1];
}

/** colourOf spreads ids over the palette; neighbours in number should not be neighbours in colour. */
export function colourOf(id: bigint, kind: number, colours: number): number {
  let h = Number(id & 0xffffffffn) ^ Math.imul(kind, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) % colours;
}
