/** The fallback {@link Suite} in plain JavaScript, over the noble libraries. Imported dynamically only: see suite.ts. */
import { gcm } from "@noble/ciphers/aes.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Bytes } from "./bytes.ts";
import { rejectLowOrder, type Suite } from "./suite.ts";

const own = (b: Uint8Array): Bytes => b as Bytes;

/** nobleSuite makes the fallback; random bytes still come from the platform. */
export function nobleSuite(): Suite {
  const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));
  return {
    label: "JS fallback",
    async keyPair(privateKey = random(32)) {
      return { publicKey: own(x25519.getPublicKey(privateKey)), secret: privateKey };
    },
    async dh(pair, publicKey) {
      const shared = own(x25519.getSharedSecret(pair.secret as Bytes, publicKey));
      rejectLowOrder(shared);
      return shared;
    },
    async sha256(data) {
      return own(sha256(data));
    },
    async hmac(key, data) {
      return own(hmac(sha256, key, data));
    },
    async aead(key) {
      const k = key.slice();
      return {
        async seal(nonce, additional, plain) {
          return own(gcm(k, nonce, additional).encrypt(plain));
        },
        async open(nonce, additional, sealed) {
          return own(gcm(k, nonce, additional).decrypt(sealed));
        },
      };
    },
    async verify(publicKey, signature, message) {
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    },
    random,
  };
}
