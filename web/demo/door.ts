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
  entities(): { id: string; x: number; z: number }[];
  readonly reconnects: number;
  readonly errors: readonly string[];
}

/** Drawn is what only the page knows: instances drawn, and entities that move. */
export interface Drawn {
  drawn: number;
  moving: number;
}

export function testDoor(plains: Plains, page: () => Drawn): TestDoor {
  return {
    stats() {
      const q = plains.zone?.quantaPerMetre ?? 320;
      const metres = (p: { x: number; z: number } | undefined): { x: number; z: number } | null => (p === undefined ? null : { x: p.x / q, z: p.z / q });
      const { client, replica, predictor, status } = plains;
      return {
        state: client.state, words: client.describe(), visible: replica.count, total: status?.entities ?? 0, players: status?.players ?? 0,
        own: metres(plains.serverPosition()), predicted: metres(predictor?.ready ? predictor.position(performance.now()) : undefined),
        frames: client.connection?.traffic.stateFrames ?? 0, spectating: plains.spectating / q, ...page(),
        rttMs: client.connection?.roundTrip.ms ?? 0, jitterMs: plains.clock.jitterMs, staleMs: plains.staleMs(performance.now()),
        errorMetres: (predictor?.meanError ?? 0) / q, verdict: predictor?.verdict ?? "waiting", lateInputs: predictor?.lateInputs ?? 0,
        refusals: plains.refusals, suite: client.suite?.label ?? "", tick: replica.lastTick(plains.zone?.index ?? 0) >>> 0,
        resumes: client.resumes, losses: client.losses, lastSeq: client.session.lastSeq, pattern: client.connection?.pattern ?? "",
        traffic: { ...client.connection?.traffic }, enters: replica.enters, updates: replica.updates, build: client.build,
      };
    },
    entities() {
      const { replica } = plains;
      const m = { x: 0, z: 0, vx: 0, vz: 0, yaw: 0 };
      const out: { id: string; x: number; z: number }[] = [];
      for (let i = 0; i < replica.count; i++) {
        const index = replica.live[i]!;
        const row = replica.row[index]!;
        const q = replica.zone(row)?.quantaPerMetre ?? 320;
        replica.stateAt(index, replica.lastTick(row), m);
        out.push({ id: replica.id[index]!.toString(), x: m.x / q, z: m.z / q });
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
