/**
 * Our WebSocket server against a client of somebody else's reading of RFC 6455: the `ws` package. The server is a small Go program,
 * tools/browser/wsecho, which answers every message with itself and prints why each connection ended.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import WebSocket from "ws";

// wsecho's limits.
const MAX_MESSAGE = 1 << 20;
const MAX_FRAGMENTS = 64;
const MAX_CONTROLS = 100;

let server: ChildProcess;
let url = "";
let connections = 0;
const ended = new Map<string, (cause: string) => void>(); // by the path that the connection asked for
const open = new Set<WebSocket>();

before(async () => {
  server = spawn("go", ["run", "-C", "../tools/browser", "-buildvcs=false", "./wsecho"], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: server.stdout! });
  url = await new Promise<string>((resolve, reject) => {
    server.once("error", (e) => reject(new Error(`this test needs Go: ${e.message}`)));
    server.once("exit", (code) => reject(new Error(`wsecho ended with ${code}`)));
    lines.on("line", (line) => {
      const said = JSON.parse(line) as { url?: string; path?: string; cause?: string };
      if (said.url !== undefined) resolve(said.url);
      else ended.get(said.path!)?.(said.cause!);
    });
  });
});

after(async () => {
  for (const ws of open) ws.terminate(); // of tests that failed
  const gone = new Promise((resolve) => server.once("exit", resolve));
  server.stdin!.end();
  assert.equal(await gone, 0, "wsecho ends with its input");
});

interface Client {
  ws: WebSocket;
  /** next is the next message that comes. */
  next(): Promise<Buffer>;
  /** closed is how the connection ended, as the client saw it. */
  closed: Promise<{ code: number; reason: string }>;
  /** cause is why it ended, in the server's words. */
  cause: Promise<string>;
}

async function connect(options: object = {}): Promise<Client> {
  const path = `${connections++}`;
  const cause = new Promise<string>((resolve) => ended.set(`/${path}`, resolve));
  const ws = new WebSocket(url + path, ["mmo.v1"], options);
  open.add(ws);
  ws.on("close", () => open.delete(ws));
  const got: Buffer[] = [];
  const waiting: ((m: Buffer) => void)[] = [];
  ws.on("message", (data: Buffer, isBinary: boolean) => {
    assert.ok(isBinary);
    const w = waiting.shift();
    if (w !== undefined) w(data);
    else got.push(data);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => ws.on("close", (code: number, reason: Buffer) => resolve({ code, reason: reason.toString() })));
  await new Promise<void>((resolve, reject) => {
    ws.once("open", resolve);
    ws.once("error", reject);
  });
  ws.on("error", () => undefined); // a reset that follows a violation; closed says what counts
  return { ws, closed, cause, next: () => (got.length > 0 ? Promise.resolve(got.shift()!) : new Promise((resolve) => waiting.push(resolve))) };
}

async function leave(c: Client): Promise<void> {
  c.ws.close(1000, "bye");
  assert.deepEqual(await c.closed, { code: 1000, reason: "" }, "the code is echoed");
  assert.equal(await c.cause, 'network: closed by peer: 1000 "bye"');
}

const filled = (n: number): Buffer => Buffer.from(Array.from({ length: n }, (_, i) => (i * 31 + n) & 255));

test("messages of every length form come back as they were, and compression is declined", async () => {
  const c = await connect({ perMessageDeflate: true });
  assert.deepEqual([c.ws.protocol, c.ws.extensions], ["mmo.v1", ""]);
  for (const n of [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, MAX_MESSAGE]) {
    const m = filled(n);
    c.ws.send(m);
    assert.ok(m.equals(await c.next()), `${n} bytes`);
  }
  await leave(c);
});

test("thousands of messages at once come back in order", async () => {
  const c = await connect();
  for (let i = 0; i < 5000; i++) c.ws.send(Buffer.from(`message ${i}`));
  for (let i = 0; i < 5000; i++) assert.equal((await c.next()).toString(), `message ${i}`);
  await leave(c);
});

test("fragments are put together, empty ones and control frames between them included", async () => {
  const c = await connect();
  const pongs: string[] = [];
  c.ws.on("pong", (data: Buffer) => pongs.push(data.toString()));
  for (let i = 0; i < MAX_FRAGMENTS; i++) {
    c.ws.send(i % 7 === 3 ? Buffer.alloc(0) : Buffer.from(`${i},`), { binary: true, fin: i === MAX_FRAGMENTS - 1 });
    if (i === 20) c.ws.ping("between");
    if (i === 30) c.ws.pong("unasked");
  }
  const want = Array.from({ length: MAX_FRAGMENTS }, (_, i) => (i % 7 === 3 ? "" : `${i},`)).join("");
  assert.equal((await c.next()).toString(), want);
  assert.deepEqual(pongs, ["between"]);
  await leave(c);
});

test("pings of any length are answered with their own bytes; of many at once the last one is, as the RFC allows", async () => {
  const c = await connect();
  const pongs: string[] = [];
  let check = (): void => undefined;
  c.ws.on("pong", (data: Buffer) => {
    pongs.push(data.toString("hex"));
    check();
  });
  const until = (last: Buffer): Promise<void> => new Promise((resolve) => {
    check = () => {
      if (pongs.at(-1) === last.toString("hex")) resolve();
    };
    check();
  });
  const pings = [0, 1, 124, 125].map(filled);
  for (const p of pings) {
    c.ws.ping(p);
    await until(p);
  }
  assert.deepEqual(pongs, pings.map((p) => p.toString("hex")));
  for (let i = 0; i < 50; i++) c.ws.ping(Buffer.from(`ping ${100 + i}`));
  await until(Buffer.from("ping 149"));
  assert.deepEqual(pongs, [...pongs.slice(0, 4), ...pongs.slice(4).sort()], "in order");
  await leave(c);
});

test("what a server of ours does not take ends the connection with the code that the RFC has for it", async () => {
  const cases: [string, (ws: WebSocket) => void, number, RegExp][] = [
    ["text", (ws) => ws.send("hello"), 1003, /text message/],
    ["too large", (ws) => ws.send(filled(MAX_MESSAGE + 1)), 1009, /too large/],
    ["too large in fragments", (ws) => {
      ws.send(filled(MAX_MESSAGE), { fin: false });
      ws.send(filled(1), { fin: true });
    }, 1009, /too large/],
    ["too many fragments", (ws) => {
      for (let i = 0; i <= MAX_FRAGMENTS; i++) ws.send(Buffer.from("x"), { fin: false });
    }, 1008, /too many fragments/],
    ["too many pings without a message", (ws) => {
      for (let i = 0; i <= MAX_CONTROLS; i++) ws.ping();
    }, 1008, /too many control frames/],
  ];
  for (const [name, offend, code, words] of cases) {
    const c = await connect();
    offend(c.ws);
    assert.match(await c.cause, words, name);
    // A server that has had enough closes without reading the rest. What was under way then makes the kernel reset the connection, and a reset may
    // overtake the close frame: the client sees 1006. Only where nothing is under way the code is sure to arrive.
    const seen = (await c.closed).code;
    assert.ok(seen === code || (name !== "text" && seen === 1006), `${name}: ${seen}`);
  }
});

test("bytes that break the RFC end the connection with 1002, which the client reads as a close frame", async () => {
  const masked = (...head: number[]): number[] => [...head, 1, 2, 3, 4];
  const cases: [string, number[], number, RegExp][] = [
    ["unmasked", [0x82, 0x01, 0x61], 1002, /unmasked/],
    ["RSV1 without an extension", masked(0xc2, 0x80), 1002, /reserved bits/],
    ["opcode 3", masked(0x83, 0x80), 1002, /reserved opcode/],
    ["a ping in fragments", masked(0x09, 0x80), 1002, /fragmented control/],
    ["a ping of 126 bytes", masked(0x89, 0xfe, 0x00, 0x7e), 1002, /too long|control/],
    ["a continuation of nothing", masked(0x80, 0x80), 1002, /continuation/],
    ["a message inside another", [...masked(0x02, 0x80), ...masked(0x82, 0x80)], 1002, /interleaved/],
    ["a close of one byte", [...masked(0x88, 0x81), 0x00], 1002, /close/],
    ["a close with 1006", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xee], 1002, /close code/],
    ["a close reason that is not UTF-8", [0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, 0xff, 0xfe], 1007, /close reason/],
  ];
  for (const [name, bytes, code, words] of cases) {
    const c = await connect();
    (c.ws as unknown as { _socket: { write(b: Buffer): void } })._socket.write(Buffer.from(bytes));
    assert.equal((await c.closed).code, code, name);
    assert.match(await c.cause, words, name);
  }
});

test("close codes and reasons arrive on both sides, whoever begins", async () => {
  for (const [code, reason] of [[1000, ""], [1001, "going"], [3000, "x".repeat(123)], [4507, "superseded"], [4999, "天下"]] as const) {
    const theirs = await connect();
    theirs.ws.close(code, reason);
    assert.deepEqual(await theirs.closed, { code, reason: "" });
    assert.equal(await theirs.cause, `network: closed by peer: ${code} "${reason}"`);
    const ours = await connect();
    ours.ws.send(Buffer.from(`close ${code} ${reason}`));
    assert.deepEqual(await ours.closed, { code, reason });
    assert.equal(await ours.cause, `network: closed by us: ${code} "${reason}"`);
  }
  const silent = await connect();
  silent.ws.close();
  assert.equal((await silent.closed).code, 1005);
  assert.match(await silent.cause, /1005/);
});

test("a client that is gone in the middle of a message has ended", async () => {
  const c = await connect();
  c.ws.send(Buffer.from("half"), { fin: false }, () => c.ws.terminate());
  assert.equal((await c.closed).code, 1006);
  assert.match(await c.cause, /EOF|reset/);
});

test("an upgrade without the subprotocol, or of another site's page, is refused before it is a connection", async () => {
  const refused = (protocols: string[], options: object): Promise<number> => new Promise((resolve, reject) => {
    const ws = new WebSocket(url, protocols, options);
    ws.on("unexpected-response", (_request: unknown, response: { statusCode: number }) => {
      resolve(response.statusCode);
      ws.terminate();
    });
    ws.on("open", () => reject(new Error("it was taken")));
    ws.on("error", () => undefined);
  });
  assert.equal(await refused([], {}), 400);
  assert.equal(await refused(["other.v9"], {}), 400);
  assert.equal(await refused(["mmo.v1"], { origin: "https://elsewhere.example" }), 403);
  const c = await connect({ origin: url.replace(/^ws/, "http").replace(/\/$/, "") });
  await leave(c);
});
