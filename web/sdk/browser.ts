/** What a client takes from the browser unless it is given something else. */
import type { Socket } from "./connection.ts";
import { SUBPROTOCOL } from "./noise.ts";

const LONGEST_TIMER_MS = 0x7fffffff; // beyond it browsers fire at once

/** browserAfter calls job after ms milliseconds and returns how to cancel it. */
export function browserAfter(ms: number, job: () => void): () => void {
  const timer = setTimeout(job, Math.min(ms, LONGEST_TIMER_MS));
  return () => clearTimeout(timer);
}

/** browserSocket opens a WebSocket; the URL may be relative to the page. */
export function browserSocket(path: string): Socket {
  const url = new URL(path, location.href);
  if (url.protocol === "https:") url.protocol = "wss:";
  else if (url.protocol === "http:") url.protocol = "ws:";
  return new WebSocket(url, [SUBPROTOCOL]) as unknown as Socket;
}
