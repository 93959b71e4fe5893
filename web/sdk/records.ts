/**
 * Sealed records of one direction (manual §4).
 *
 *   DATA  = 0x58 | AES-256-GCM(key, nonce, additional = 0x58, plaintext)
 *   nonce = 4 zero bytes ‖ counter u64 big-endian, never sent, runs on through a rekey
 *
 * WebCrypto is asynchronous, so calls could overtake each other: each direction is one promise queue. The counter and the rekey
 * counts are touched only inside it. A direction that failed once stays failed: there is no record after a hole.
 */
import { type Bytes, concat, MalformedError } from "./bytes.ts";
import { gcmNonce } from "./noise.ts";
import type { Aead, Suite } from "./suite.ts";

export const DATA = 0x58;
const AAD: Bytes = new Uint8Array([DATA]);
const NOTHING: Bytes = new Uint8Array(0);
const REKEY_NONCE = gcmNonce(0xffffffffffffffffn);

/** RekeyRule: the key changes directly after the record that reaches either count. */
export interface RekeyRule {
  records: number;
  bytes: number;
}

class Direction {
  private counter = 0n;
  private records = 0;
  private bytes = 0;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly suite: Suite, private aead: Aead, private readonly rule: RekeyRule) {}

  /** inOrder runs job after all earlier ones; a failure is final for this direction. */
  inOrder<T>(job: (aead: Aead, nonce: Bytes) => Promise<{ result: T; plainLength: number }>): Promise<T> {
    const run = this.queue.then(async () => {
      const { result, plainLength } = await job(this.aead, gcmNonce(this.counter++));
      this.records++;
      this.bytes += plainLength;
      if (this.records >= this.rule.records || this.bytes >= this.rule.bytes) await this.rekey();
      return result;
    });
    this.queue = run;
    run.catch(() => undefined); // the caller sees it; this only keeps the queue itself from being reported as unhandled
    return run;
  }

  private async rekey(): Promise<void> {
    const next = await this.aead.seal(REKEY_NONCE, NOTHING, new Uint8Array(32));
    this.aead = await this.suite.aead(next.slice(0, 32));
    this.records = 0;
    this.bytes = 0;
  }
}

/** Sealer turns frames into records, in the order of the calls. */
export class Sealer {
  private constructor(private readonly direction: Direction) {}

  static async create(suite: Suite, key: Bytes, rule: RekeyRule): Promise<Sealer> {
    return new Sealer(new Direction(suite, await suite.aead(key), rule));
  }

  seal(plain: Bytes): Promise<Bytes> {
    return this.direction.inOrder(async (aead, nonce) => ({
      result: concat(AAD, await aead.seal(nonce, AAD, plain)),
      plainLength: plain.length,
    }));
  }
}

/** Opener turns records into the bytes of frames, in the order of the calls. */
export class Opener {
  private constructor(private readonly direction: Direction) {}

  static async create(suite: Suite, key: Bytes, rule: RekeyRule): Promise<Opener> {
    return new Opener(new Direction(suite, await suite.aead(key), rule));
  }

  open(record: Bytes): Promise<Bytes> {
    return this.direction.inOrder(async (aead, nonce) => {
      if (record[0] !== DATA) throw new MalformedError(`record kind 0x${(record[0] ?? 0).toString(16)} after the handshake`);
      const plain = await aead.open(nonce, AAD, record.slice(1));
      return { result: plain, plainLength: plain.length };
    });
  }
}
