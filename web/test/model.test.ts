/** Random stories of a session and its server: cuts, late acknowledgements, repeated tails, servers that die. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter, hex } from "../sdk/bytes.ts";
import { decodeFrames } from "../sdk/frames.ts";
import { RequestError } from "../sdk/requests.ts";
import { Session } from "../sdk/session.ts";
import { ASK, Chance, Home, LATEST, Link, PUSH, Time } from "./home.ts";

const STORIES = 100;
const EVENTS = 1200;

interface Asked {
  key: string;
  outcome?: "answered" | "unknown" | "wrong";
}

/** Story is one run: everything that the client's program saw. */
class Story {
  readonly chance: Chance;
  readonly time = new Time();
  readonly home: Home;
  readonly session: Session;
  link: Link | undefined;
  /** pushes by session, in the order in which they came. */
  readonly seen = new Map<number, number[]>();
  readonly asked: Asked[] = [];
  losses = 0;
  early = 0; // losses because no ticket had come
  resumes = 0;
  logins = 0;
  cuts = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.home = new Home(this.chance);
    this.session = new Session({
      loggedIn: () => this.logins++, resumed: () => this.resumes++,
      notRecovered: (reason) => {
        this.losses++;
        if (/before a ticket/.test(reason)) this.early++;
      },
      push: (route, payload) => {
        if (route === LATEST) return;
        assert.equal(route, PUSH);
        const r = new ByteReader(payload);
        const [life, n] = [r.u32(), r.u32()];
        if (!this.seen.has(life)) this.seen.set(life, []);
        this.seen.get(life)!.push(n);
      },
      refused: () => undefined, queue: () => undefined, warning: () => undefined, goaway: () => undefined,
    }, { now: this.time.now, after: this.time.after });
  }

  /** connect tries once; a refused ticket is given up. */
  connect(): void {
    const link = new Link(this.session);
    const resume = this.session.resumption;
    if (resume === undefined) this.session.forget("too late");
    else if (!this.home.redeem(link, resume.ticket)) return this.session.forget("refused");
    this.link = link;
    const rules = { ackEvery: 1 + this.chance.below(5), ackAfterMs: 100, idleTimeoutMs: 30_000 };
    for (const frame of this.session.attach(link, rules)) link.send(frame);
  }

  cut(): void {
    const { link } = this;
    if (link === undefined) return;
    this.cuts++;
    this.link = undefined;
    this.session.detach(link);
    if (this.chance.below(3) === 0) for (const r of link.up.move(this.chance.below(link.up.waiting + 1))) this.home.take(link, r); // a last bit arrives
    const life = link.home;
    if (life !== undefined && life.link === link && this.chance.below(2) === 0) life.link = undefined; // else the server notices only when another comes
  }

  /** down lets n bytes of the server's arrive, and up of the client's. */
  down(n: number): void {
    const { link } = this;
    if (link === undefined) return;
    for (const record of link.down.move(n)) for (const f of decodeFrames(record)) this.session.receive(f);
  }

  up(n: number): void {
    const { link } = this;
    if (link === undefined) return;
    for (const record of link.up.move(n)) this.home.take(link, record);
  }

  ask(): void {
    const a: Asked = { key: hex(new ByteWriter().u32(this.asked.length).done()) };
    this.asked.push(a);
    this.session.request(ASK, new ByteWriter().u32(this.asked.length - 1).done(), 1e9).then(
      (payload) => (a.outcome = hex(payload) === a.key ? "answered" : "wrong"),
      (e: RequestError) => {
        if (e.code === 1000) a.outcome = e.message.endsWith(a.key) ? "answered" : "wrong";
        else a.outcome = e.mayHaveActed ? "unknown" : "wrong";
      },
    );
  }

  login(): void {
    if (this.link !== undefined && this.session.phase === "none") this.session.login({ token: "tok", client: "" }, 1e9).catch(() => undefined);
  }

  /** event is one thing that happens; deaths: servers may die. */
  event(deaths: boolean): void {
    const { link, home } = this;
    const life = home.current;
    const some = (n: number): number => this.chance.below(n + 1);
    switch (this.chance.below(20)) {
      case 0: return link === undefined ? this.connect() : undefined;
      case 1: return this.login();
      case 14: case 15: return this.down(1e9);
      case 16: case 17: link?.flush(); return this.up(1e9);
      case 2: case 3: return this.down(some(link?.down.waiting ?? 0));
      case 4: return this.down(1 + some(6));
      case 5: case 6: return this.up(some(link?.up.waiting ?? 0));
      case 7: return link?.woken ? link.flush() : undefined;
      case 8: return link !== undefined ? link.flush() : undefined;
      case 9: return this.ask();
      case 10: if (life?.alive) for (let i = some(4); i >= 0; i--) home.push(life); return;
      case 11: if (life?.alive) home.answer(life); return;
      case 12:
        if (this.chance.below(deaths ? 20 : 1e6) === 0 && life !== undefined) return home.end(life);
        if (life?.alive) home.latest(life);
        return this.time.pass(some(60));
      case 13: return this.chance.below(4) === 0 ? this.cut() : undefined;
    }
  }

  /** calm lets everything arrive that can. */
  calm(): void {
    for (let i = 0; i < 60; i++) {
      if (this.link?.waitsFor === "anything" && this.link.home === undefined) this.cut(); // its server is gone, and it hears so
      if (this.link === undefined) this.connect();
      this.login();
      this.time.pass(200);
      this.link?.flush();
      this.up(1e9);
      const life = this.home.current;
      while (life?.alive && life.answers.length > 0) this.home.answer(life);
      this.down(1e9);
    }
  }

  /** judge: every message once and in order, all of them where nothing was lost; every request once, or with an unknown end where a session was. */
  judge(): void {
    for (const [life, numbers] of this.seen) numbers.forEach((n, i) => assert.equal(n, i + 1, `session ${life}: ${numbers}`));
    const last = this.home.current!;
    assert.equal((this.seen.get(last.id) ?? []).length, last.pushes, "all messages of the session that lives have come");
    assert.deepEqual([last.acked, last.outbox.length, this.session.lastSeq], [last.seq, 0, last.seq], "and are acknowledged");
    for (const a of this.asked) {
      assert.notEqual(a.outcome, undefined, `request ${a.key} has no end`);
      assert.notEqual(a.outcome, "wrong", a.key);
      const done = this.home.done.get(a.key) ?? 0;
      assert.ok(done <= 1, `request ${a.key} was carried out ${done} times`);
      if (a.outcome === "answered") assert.equal(done, 1);
    }
    assert.equal(this.logins - 1, this.losses, "one login more than sessions lost");
  }
}

async function tell(seed: number, deaths: boolean): Promise<Story> {
  const s = new Story(seed);
  for (let i = 0; i < EVENTS; i++) s.event(deaths);
  s.calm();
  await new Promise((r) => setImmediate(r));
  s.judge();
  return s;
}

const total = (stories: Story[], of: (s: Story) => number): number => stories.reduce((n, s) => n + of(s), 0);

test("a session over links that are cut: every message once and in order, every request once, nothing lost", async (t) => {
  const stories: Story[] = [];
  for (let seed = 1; seed <= STORIES; seed++) {
    const s = await tell(seed, false).catch((e) => {
      throw new Error(`story ${seed}: ${e.message}`, { cause: e });
    });
    assert.equal(s.losses, s.early, `story ${seed}: a session whose ticket had come was lost`);
    if (s.losses === 0) for (const a of s.asked) assert.equal(a.outcome, "answered", `story ${seed}: request ${a.key}`);
    stories.push(s);
  }
  t.diagnostic(`${total(stories, (s) => s.cuts)} cuts, ${total(stories, (s) => s.resumes)} resumes, ${total(stories, (s) => s.losses)} lost before the first ticket`);
  assert.ok(total(stories, (s) => s.resumes) > 5 * STORIES, "the stories are eventful");
});

test("and with servers that die: the same, or the program is told", async (t) => {
  const stories: Story[] = [];
  for (let seed = 1; seed <= STORIES; seed++) {
    stories.push(await tell(10_000 + seed, true).catch((e) => {
      throw new Error(`story ${10_000 + seed}: ${e.message}`, { cause: e });
    }));
  }
  t.diagnostic(`${total(stories, (s) => s.resumes)} resumes, ${total(stories, (s) => s.losses)} sessions not recovered`);
  assert.ok(total(stories, (s) => s.losses) > STORIES / 2);
});
