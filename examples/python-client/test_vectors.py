"""The test vectors that the manual names in section 14, and those of a game with a field of every type."""

import json
import pathlib
import struct
import unittest
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import channel
import state

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load(path):
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


class Handshake(unittest.TestCase):
    def test_both_suites_and_records_across_rekeys(self):
        suite1 = load("pkg/security/testdata/handshake.json")
        cert, root = bytes.fromhex(suite1["cert"]), bytes.fromhex(suite1["root_public"])
        key = channel.read_certificate(cert, root, suite1["now"])
        for moment in (suite1["not_before"] - 1, suite1["not_after"] + 1):
            with self.assertRaises(channel.Broken):
                channel.read_certificate(cert, root, moment)
        for v in (suite1, suite1["resume"]):
            ticket = SimpleNamespace(**{name: bytes.fromhex(v[name]) for name in ("ticket", "secret")}) if "ticket" in v else None
            first = bytes.fromhex(v["payload1"])
            noise = channel.Noise(key, suite1["realm"].encode(), ticket, first[16:24])
            private = X25519PrivateKey.from_private_bytes(bytes.fromhex(v["client_ephemeral_private"]))
            self.assertEqual(noise.first(private, first[:16]).hex(), v["hs1"])
            terms, send, receive = noise.second(bytes.fromhex(v["hs2"]))
            self.assertEqual((send.hex(), receive.hex()), (v["key_c2s"], v["key_s2c"]))
            ways = {"c2s": channel.Direction(send, terms), "s2c": channel.Direction(receive, terms)}
            for r in v["records"]:
                way, key_before = ways[r["dir"]], ways[r["dir"]].key
                if r["dir"] == "c2s":
                    self.assertEqual(way.seal(bytes.fromhex(r["plain"])).hex(), r["record"])
                else:
                    self.assertEqual(way.open(bytes.fromhex(r["record"])).hex(), r["plain"])
                self.assertEqual(way.key != key_before, r["rekeys"])


class State(unittest.TestCase):
    def test_frames_of_a_connection(self):
        v = load("pkg/sync/replica/testdata/frames.json")
        world = state.World(channel.decode("Layout", bytes.fromhex(v["layout"])))
        world.row(SimpleNamespace(origin_x=0, origin_z=0, **v["zone"]))
        for at, f in enumerate(v["frames"]):
            world.read(bytes.fromhex(f["hex"]))
            want = f["expect"]
            self.assertEqual((world.rows[0].last, world.rows[0].input), (want["tick"], want["input"]))
            self.assertEqual(len(world.entities), len(want["entities"]))
            for entity in want["entities"]:
                got = world.entities[entity["index"]]
                self.assertEqual(str(got.id), entity["id"])
                self.same(world, got, entity["state"], f"frame {at}")

    def test_entities_that_cross_and_rows_that_change(self):
        v = load("pkg/sync/replica/testdata/crossing.json")
        world = state.World(channel.decode("Layout", bytes.fromhex(v["layout"])))
        for at, step in enumerate(v["steps"]):
            if "row" in step:
                world.row(SimpleNamespace(**{k: n for k, n in step["row"].items() if k != "input"}))
                continue
            world.read(bytes.fromhex(step["hex"]))
            want = step["expect"]
            for row in want["rows"]:
                got = world.rows[row["index"]]
                self.assertEqual((got.zone, got.last, got.input), (row["zone"], row["tick"], row["input"]), f"step {at}")
            self.assertEqual(len(world.entities), len(want["entities"] or []), f"step {at}")
            for entity in want["entities"] or []:
                got = world.entities[entity["index"]]
                self.assertEqual((str(got.id), got.row.index), (entity["id"], entity["row"]), f"step {at}")
                self.same(world, got, entity["state"], f"step {at}")

    def test_a_row_in_use_and_a_stranger_at_a_live_index_are_malformed(self):
        v = load("pkg/sync/replica/testdata/frames.json")
        world = state.World(channel.decode("Layout", bytes.fromhex(v["layout"])))
        row = SimpleNamespace(origin_x=0, origin_z=0, **v["zone"])
        world.row(row)
        world.row(row)  # nothing of the old one is there
        entered = next(f["hex"] for f in v["frames"] if f["expect"]["entities"])
        for f in v["frames"]:
            world.read(bytes.fromhex(f["hex"]))
            if f["hex"] == entered:
                break
        with self.assertRaises(state.Malformed):
            world.row(row)
        world.read(bytes.fromhex(entered))  # the same one, at its index: a hand-over
        for e in world.entities.values():
            e.id += 1
        with self.assertRaises(state.Malformed):
            world.read(bytes.fromhex(entered))

    def test_every_type_of_field(self):
        v = load("examples/sink/testdata/vectors.json")
        world = state.World(channel.decode("Layout", bytes.fromhex(v["layout"])))
        cases = [case for case in v["cases"] if case["audience"] == 0]  # the others travel in no frame of this version
        for case in cases:
            row = SimpleNamespace(position_bits=case["position_bits"], origin_x=case.get("origin_x", 0), origin_z=case.get("origin_z", 0), last=0)
            entity = SimpleNamespace(kind=world.kinds[case["kind"]], row=row, base=0, state={})
            for at, step in enumerate(case["steps"]):
                bits, row.last = state.Bits(bytes.fromhex(step["hex"])), step["tick"]
                {"full": world.full, "delta": world.delta}[step["op"]](state.Values(bits), entity, row, 0)
                self.assertEqual(bits.at, step["bits"])
                self.same(world, entity, step["value"], f"kind {entity.kind.name}, step {at}")
        self.assertGreater(len(cases), 5)

    def same(self, world, entity, want, where):
        want = dict(want)
        if entity.kind.place:
            self.assertEqual(entity.base, want.pop("tick"), where)
        want.pop("tick", None)
        for component in entity.kind.all:
            got, wanted = entity.state.get(component.name, {}), want.pop(component.name, {})
            if state.sent(component.fields):
                self.assertEqual(got is None, wanted is None, f"{where}: presence of {component.name}")
            if got is None or wanted is None:
                continue
            for f in state.sent(component.fields):
                self.assertEqual(plain(f, got[f.name]), expected(f, wanted.get(f.name)), f"{where}: {component.name}.{f.name}")
        self.assertFalse(want, where)


def plain(f, value):
    """A value as `expected` has it."""
    if value is None:
        return None
    if f.type == state.MESSAGE:
        return {g.name: plain(g, value[g.name]) for g in state.sent(f.fields)}
    if f.type == state.LIST:
        return [plain(f.fields[0], one) for one in value]
    if f.type == state.MAP:
        return [[plain(f.fields[0], key), plain(f.fields[1], one)] for key, one in value.items()]
    return real(f, value)


def expected(f, value):
    """A value of the vectors: 64-bit numbers are text there, bytes hexadecimal, maps lists of pairs."""
    if value is None:
        return None
    if f.type == state.MESSAGE:
        return {g.name: expected(g, value.get(g.name)) for g in state.sent(f.fields)}
    if f.type == state.LIST:
        return [expected(f.fields[0], one) for one in value]
    if f.type == state.MAP:
        return [[expected(f.fields[0], key), expected(f.fields[1], one)] for key, one in value]
    if f.type in (state.INT64, state.UINT64, state.ENTITY):
        return int(value)
    return bytes.fromhex(value) if f.type == state.BYTES else real(f, value)


def real(f, value):
    """Floats by their text, in which every NaN is the same; those of 32 bits by what they are in 32 bits."""
    if f.type == state.FLOAT32:
        value = struct.unpack("<f", struct.pack("<f", float(value)))[0]
    return str(float(value) + 0.0) if f.type in (state.FLOAT32, state.FLOAT64) else value


if __name__ == "__main__":
    unittest.main()
