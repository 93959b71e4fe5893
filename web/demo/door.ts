/** The page's door for tests, window.tianxia. */
import type { Plains } from "../sdk/index.ts";

/**
 * window.tianxia is for tests and for the curious at the console; nothing on the page reads it.
 *   stats()     state in words and numbers, positions in metres; own is the server's word, predicted is what is drawn
 *   entities()  the client's replica: decimal ids, metres, at the last section's tick
 *   reconnects  times that a session began or went on after the first      errors  what went wrong, newest last
 */
export interface TestDoor {
  stats(): Record<string, unknown>;
  entities(): { id: string; kind: number; hp: number; x: number; z: number }[];
  readonly reconnects: number;
  readonly errors: readonly string[];
}

/** Drawn is what only the page knows: instances drawn, entities that move, blows that were answered and that landed, lines of chat. */
export interface Drawn {
  drawn: number;
  moving: number;
  blows: number;
  landed: number;
  heard: number;
}

export function testDoor(plains: Plains, page: () => Drawn): TestDoor {
  return {
    stats() {
      const q = plains.zone?.quantaPerMetre ?? 320;
      const metres = (p: { x: number; z: number } | undefined): { x: number; z: number } | null => (p === undefined ? null : { x: p.x / q, z: p.z / q });
      const { client, replica, predictor, status } = plains;
      const own = plains.ownIndex();
      return {
        state: client.state, words: client.describe(), visible: replica.count, total: status?.entities ?? 0, players: status?.players ?? 0,
        own: metres(plains.serverPosition()), predicted: metres(predictor?.ready ? predictor.position(performance.now()) : undefined),
        frames: client.connection?.traffic.stateFrames ?? 0, spectating: plains.spectating / q, ...page(),
        rttMs: client.connection?.roundTrip.ms ?? 0, jitterMs: plains.clock.jitterMs, staleMs: plains.staleMs(performance.now()),
        errorMetres: (predictor?.meanError ?? 0) / q, verdict: predictor?.verdict ?? "waiting", lateInputs: predictor?.lateInputs ?? 0,
        refusals: plains.refusals, suite: client.suite?.label ?? "", tick: replica.lastTick(plains.zone?.index ?? 0) >>> 0,
        resumes: client.resumes, losses: client.losses, lastSeq: client.session.lastSeq, pattern: client.connection?.pattern ?? "",
        traffic: { ...client.connection?.traffic }, enters: replica.enters, updates: replica.updates, build: client.build,
        zone: plains.zone?.zone ?? 0, zones: plains.land.zones.map((z) => z.zone), walls: plains.land.walls.length, dead: plains.dead, inside: plains.inside,
        hp: own < 0 ? 0 : plains.world.vitals.hp[own]!, coins: own < 0 ? 0 : plains.world.purse.coins[own]!, me: plains.me?.toString() ?? "",
        border: plains.land.zones.map((z) => ({ zone: z.zone, x: z.x / q, z: z.y / q, width: z.width / q, height: z.height / q })),
      };
    },
    entities() {
      const { replica } = plains;
      const m = { x: 0, z: 0, vx: 0, vz: 0, yaw: 0 };
      const out: ReturnType<TestDoor["entities"]> = [];
      const { hp } = plains.world.vitals;
      for (let i = 0; i < replica.count; i++) {
        const index = replica.live[i]!;
        const row = replica.row[index]!;
        const q = replica.zone(row)?.quantaPerMetre ?? 320;
        replica.stateAt(index, replica.lastTick(row), m);
        out.push({ id: replica.id[index]!.toString(), kind: replica.kind[index]!, hp: hp[index]!, x: m.x / q, z: m.z / q });
      }
      return out;
    },
    get reconnects() {
      return plains.client.reconnects;
    },
    get errors() {
      return plains.client.errors;
    },
  };
}
