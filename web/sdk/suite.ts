/**
 * The primitives under the handshake and the records, behind one interface with two implementations: WebCrypto, and the noble
 * libraries where WebCrypto is missing (a page over plain http that is not localhost, an old browser). The second is a chunk of its
 * own, loaded only then; it is not constant-time, and the label says which one runs.
 */
import type { Bytes } from "./bytes.ts";

/** KeyPair is an X25519 pair; secret is whatever the suite keeps. */
export interface KeyPair {
  readonly publicKey: Bytes;
  readonly secret: unknown;
}

/** Aead is AES-256-GCM under one key. Nonces are 12 bytes; both calls include the 16-byte tag. */
export interface Aead {
  seal(nonce: Bytes, additional: Bytes, plain: Bytes): Promise<Bytes>;
  /** open rejects when the tag does not match. */
  open(nonce: Bytes, additional: Bytes, sealed: Bytes): Promise<Bytes>;
}

/** Suite is what `Noise_NK_25519_AESGCM_SHA256` and `Noise_NKpsk2_25519_AESGCM_SHA256` are built of. */
export interface Suite {
  /** label names the implementation for people: "WebCrypto" or "JS fallback". */
  readonly label: string;
  /** keyPair makes an ephemeral key, or the one of the given 32-byte private key (vectors). */
  keyPair(privateKey?: Bytes): Promise<KeyPair>;
  /** dh rejects low-order points. */
  dh(pair: KeyPair, publicKey: Bytes): Promise<Bytes>;
  sha256(data: Bytes): Promise<Bytes>;
  hmac(key: Bytes, data: Bytes): Promise<Bytes>;
  aead(key: Bytes): Promise<Aead>;
  /** verify checks an Ed25519 signature. */
  verify(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean>;
  /** random returns n bytes of the platform's generator, which every browser has, secure context or not. */
  random(n: number): Bytes;
}

/** rejectLowOrder throws on an all-zero shared secret. */
export function rejectLowOrder(shared: Uint8Array): void {
  let or = 0;
  for (const b of shared) or |= b;
  if (or === 0) throw new Error("the peer's public key is a low-order point");
}

// DER of a PKCS #8 X25519 private key up to the 32 key bytes.
const PKCS8_X25519 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];

class WebCryptoSuite implements Suite {
  readonly label = "WebCrypto";

  constructor(private readonly subtle: SubtleCrypto) {}

  async keyPair(privateKey?: Bytes): Promise<KeyPair> {
    if (privateKey === undefined) {
      const pair = (await this.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"])) as CryptoKeyPair;
      return { publicKey: new Uint8Array(await this.subtle.exportKey("raw", pair.publicKey)), secret: pair.privateKey };
    }
    const der = new Uint8Array(48);
    der.set(PKCS8_X25519);
    der.set(privateKey, 16);
    const secret = await this.subtle.importKey("pkcs8", der, { name: "X25519" }, false, ["deriveBits"]);
    const base = new Uint8Array(32);
    base[0] = 9;
    return { secret, publicKey: await this.derive(secret, base) };
  }

  private async derive(secret: CryptoKey, publicKey: Bytes): Promise<Bytes> {
    const pub = await this.subtle.importKey("raw", publicKey, { name: "X25519" }, false, []);
    return new Uint8Array(await this.subtle.deriveBits({ name: "X25519", public: pub }, secret, 256));
  }

  async dh(pair: KeyPair, publicKey: Bytes): Promise<Bytes> {
    const shared = await this.derive(pair.secret as CryptoKey, publicKey);
    rejectLowOrder(shared);
    return shared;
  }

  async sha256(data: Bytes): Promise<Bytes> {
    return new Uint8Array(await this.subtle.digest("SHA-256", data));
  }

  async hmac(key: Bytes, data: Bytes): Promise<Bytes> {
    const k = await this.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return new Uint8Array(await this.subtle.sign("HMAC", k, data));
  }

  async aead(key: Bytes): Promise<Aead> {
    const subtle = this.subtle;
    const k = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
    return {
      async seal(iv, additionalData, plain) {
        return new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv, additionalData }, k, plain));
      },
      async open(iv, additionalData, sealed) {
        return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv, additionalData }, k, sealed));
      },
    };
  }

  async verify(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
    const k = await this.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return this.subtle.verify({ name: "Ed25519" }, k, signature, message);
  }

  random(n: number): Bytes {
    return crypto.getRandomValues(new Uint8Array(n));
  }
}

/** webCryptoSuite returns the WebCrypto suite, or undefined where a primitive is missing; it tries them rather than trusting names. */
export async function webCryptoSuite(): Promise<Suite | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle === undefined) return undefined;
  try {
    const suite = new WebCryptoSuite(subtle);
    await suite.keyPair();
    await subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
    return suite;
  } catch {
    return undefined;
  }
}

/** pickSuite prefers WebCrypto and loads the fallback chunk only without it. */
export async function pickSuite(): Promise<Suite> {
  return (await webCryptoSuite()) ?? (await import("./noble.ts")).nobleSuite();
}
