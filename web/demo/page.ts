/** What the page says outside the canvas: buttons, notes, the curtain, the hint, and where all of that leaves room. */
import type { Camera } from "./camera.ts";

const HINT_MS = 15_000;
const NOTE_MS = 6000;
const PANEL_GAP_PX = 8;
const EDGE_PX = 14;

/** narrow is a window too small to have the panel beside the world. */
export const narrow = matchMedia("(max-width: 720px)");

export function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** press lights a button. */
export function press(id: string, on: boolean): void {
  const value = String(on);
  if (element(id).getAttribute("aria-pressed") !== value) element(id).setAttribute("aria-pressed", value);
}

/** curtain covers the page with a message and, where that can help, a button to try again. */
export function curtain(title: string, text: string, again: boolean): void {
  element("curtain-title").textContent = title;
  element("curtain-text").textContent = text;
  element("again").hidden = !again;
  element("curtain").hidden = false;
}

/** Note is one line that goes by itself. */
export class Note {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private about = "";

  /** show replaces whatever is shown; about names the subject for {@link hide}. */
  show(text: string, about = "", ms = NOTE_MS): void {
    const node = element("note");
    this.about = about;
    node.textContent = text;
    node.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.hide(about), ms);
  }

  /** hide takes a note back if it is about this. */
  hide(about: string): void {
    if (about === this.about) element("note").hidden = true;
  }
}

/** Hint tells a newcomer the controls, until the first command or for 15 seconds, and never again. */
export class Hint {
  private over = false;

  constructor() {
    setTimeout(() => this.dismiss(), HINT_MS);
  }

  dismiss(): void {
    if (this.over) return;
    this.over = true;
    element("hint").classList.add("gone");
  }
}

/** arrange measures header, dock and panel, and tells camera and style sheet what is left between them. */
export function arrange(camera: Camera): void {
  const style = document.documentElement.style;
  const set = (name: string, px: number): void => {
    const value = `${Math.round(px)}px`;
    if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
  };
  const panel = element("panel");
  const beside = !narrow.matches && !panel.hidden;
  camera.inset = beside ? innerWidth - panel.getBoundingClientRect().left + PANEL_GAP_PX : 0;
  set("--inset", camera.inset);
  const bottom = (id: string): number => element(id).getBoundingClientRect().bottom; // 0 of what is hidden
  const header = Math.max(bottom("state"), bottom("vitals")) + EDGE_PX;
  set("--header", header);
  camera.bottom = innerHeight - element("dock").getBoundingClientRect().top + EDGE_PX;
  set("--dock", camera.bottom);
  camera.top = narrow.matches && !panel.hidden ? panel.getBoundingClientRect().bottom + EDGE_PX : header;
}

/** storedName is this tab's player, made up at the first visit. */
export function storedName(): string {
  const key = "tianxia.name";
  const pick = (list: string[]): string => list[Math.floor(Math.random() * list.length)]!;
  const made = `${pick(["brave", "quiet", "swift", "merry", "bold", "sunny"])}-${pick(["otter", "crane", "panda", "lynx", "finch", "carp"])}`;
  try {
    const kept = sessionStorage.getItem(key);
    if (kept !== null) return kept;
    sessionStorage.setItem(key, made);
  } catch {
    // storage may be forbidden; a new name per visit is fine
  }
  return made;
}
