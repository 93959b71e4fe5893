/** What one does in the world besides walking: blows, the mouth of a den, and how the own hero fares. Positions in quanta. */
import { Kind } from "../sdk/gen/plains.ts";
import { type Plains, RequestError } from "../sdk/index.ts";
import type { Camera } from "./camera.ts";
import type { Crowd } from "./crowd.ts";
import { element } from "./page.ts";

const COOLDOWN_MS = 500; // the zone's: a blow before that would only be refused
const NEAR_M = 9; // at whom one strikes without pointing: who is out of reach is said by the zone
const MOUTH_M = 4.5;
const WORD_MS = 1400;
const FINGER_PX = 16; // a click this close to somebody means it
const GONE_MS = 1500; // an avatar that is nowhere for so long is no longer on its way into another zone
const RESPAWN_S = 3;

export class Play {
  /** blows that were answered, and those that hit. */
  blows = 0;
  landed = 0;
  private struckAt = -COOLDOWN_MS;
  private word = "";
  private wordUntil = 0;
  private seenAt = 0;
  private diedAt = NaN;

  constructor(private readonly plains: Plains, private readonly crowd: Crowd, private readonly camera: Camera) {}

  private get q(): number {
    return this.plains.zone?.quantaPerMetre ?? 320;
  }

  /** say shows a word at the avatar for a moment. */
  say(word: string): void {
    this.word = word;
    this.wordUntil = performance.now() + WORD_MS;
  }

  /** saying is the word of the moment. */
  saying(now: number): string {
    return now < this.wordUntil ? this.word : "";
  }

  /** strike at whoever is nearest: at wolves first. */
  strike(): void {
    const me = this.plains.predictor?.position(performance.now());
    if (me === undefined || this.plains.ownIndex() < 0) return;
    const index = this.crowd.prey(this.plains.replica, this.plains.ownIndex(), me.x, me.z, NEAR_M * this.q, [[Kind.wolf], [Kind.hero]]);
    if (index < 0) this.say("nobody is near");
    else void this.blow(index);
  }

  /** strikeAt strikes at who is under the pointer; false: nobody is. */
  strikeAt(px: number, py: number): boolean {
    if (this.plains.ownIndex() < 0) return false;
    const at = this.camera.worldAt(px, py);
    const reach = Math.max(1.3, FINGER_PX / this.camera.scale) * this.q;
    const index = this.crowd.prey(this.plains.replica, this.plains.ownIndex(), at.x * this.q, at.z * this.q, reach, [[Kind.wolf, Kind.hero]]);
    if (index < 0) return false;
    void this.blow(index);
    return true;
  }

  private async blow(index: number): Promise<void> {
    const now = performance.now();
    if (now - this.struckAt < COOLDOWN_MS || this.plains.client.state !== "playing") return;
    this.struckAt = now;
    try {
      const hp = await this.plains.attack(this.plains.replica.id[index]!);
      this.landed++;
      if (hp === 0) this.say("slain");
    } catch (error) {
      if (error instanceof RequestError) this.say(error.message.replace(/^game error \d+: /, ""));
    } finally {
      this.blows++;
    }
  }

  /** atMouth tells whether the hero stands at the mouth of a den. */
  atMouth(): boolean {
    const me = this.plains.serverPosition();
    if (me === undefined) return false;
    return this.crowd.prey(this.plains.replica, -1, me.x, me.z, MOUTH_M * this.q, [[Kind.den]]) >= 0;
  }

  mouth(): void {
    if (this.atMouth()) this.plains.passMouth();
    else this.say("no den is here");
  }

  /** died: the own hero has. */
  died(): void {
    this.diedAt = performance.now();
  }

  /** born: there is a new one. */
  born(): void {
    this.diedAt = NaN;
    this.seenAt = performance.now();
  }

  /** show writes how the hero fares, and what can be done here. */
  show(now: number): void {
    const playing = this.plains.client.state === "playing";
    const index = this.plains.ownIndex();
    if (index >= 0 || !playing) this.seenAt = now;
    const gone = playing && index < 0 && (this.plains.dead || now - this.seenAt > GONE_MS);
    if (!gone) this.diedAt = NaN;
    else if (Number.isNaN(this.diedAt)) this.diedAt = this.seenAt;
    const left = Math.ceil(RESPAWN_S - (now - this.diedAt) / 1000);
    const prompt = element("prompt");
    const inside = this.plains.inside;
    let words = "";
    if (gone) words = left > 0 ? `You have died. You are back in ${left} s.` : "You have died. You are back in a moment.";
    else if (index >= 0 && this.atMouth()) words = inside ? "E leaves the den" : "E enters the den";
    if (prompt.textContent !== words) prompt.textContent = words;
    prompt.hidden = words === "";
    prompt.dataset["kind"] = gone ? "bad" : "plain";
    document.body.dataset["dead"] = gone ? "yes" : "no";
    this.showVitals(index);
  }

  private showVitals(index: number): void {
    const node = element("vitals");
    node.hidden = index < 0;
    if (index < 0) return;
    const hp = this.plains.world.vitals.hp[index]!;
    const coins = this.plains.world.purse.coins[index]!;
    node.dataset["kind"] = hp > 60 ? "good" : hp > 30 ? "warn" : "bad";
    node.style.setProperty("--part", `${Math.min(100, hp)}%`);
    const text = [`${hp} hp`, `${coins} coin${coins === 1 ? "" : "s"}`];
    for (const [i, t] of text.entries()) if (node.children[i + 1]!.textContent !== t) node.children[i + 1]!.textContent = t;
  }
}
