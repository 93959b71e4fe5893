"""State frames, read by a layout that the server sends: section 7 of docs/ProtoDesignMaunal_v1.0.md.

A World belongs to one connection. Its entities hold whole steps; `shown` turns them into what the game means.
"""

import math
import struct
from types import SimpleNamespace

(BOOL, INT32, UINT32, INT64, UINT64, ENUM, FLOAT32, FLOAT64, STEPS, ANGLE, ENTITY, TEXT, BYTES, MESSAGE, LIST, MAP) = range(1, 17)


class Malformed(Exception):
    """A state frame that the manual does not allow."""


def zigzag(u):
    return u >> 1 ^ -(u & 1)


def signed(value, bits):
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


class Bits:
    """Low bit first; see the second block of section 7 for the names."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, n):
        end = self.at + n
        if end > len(self.data) * 8:
            raise Malformed("the state frame is cut off")
        word = int.from_bytes(self.data[self.at >> 3:end + 7 >> 3], "little") >> (self.at & 7)
        self.at = end
        return word & (1 << n) - 1

    def choose(self, *widths):
        """`0` + the first width, `10` + the second ..., the last without a zero bit: which one it was, and its value."""
        which = 0
        while which < len(widths) - 1 and self.read(1):
            which += 1
        return which, self.read(widths[which])

    def count(self):
        return self.choose(0, 4, 11, 20)[1]

    def age(self):
        return self.choose(0, 5, 10, 32)[1]

    def velocity(self, old):
        which, n = self.choose(5, 8, 16, 32)
        return (old + n - 16, n - 128, signed(n, 16), signed(n, 32))[which]

    def residual(self):
        which, n = self.choose(0, 3, 6, 11, 32)
        return zigzag(n + 1 if which == 1 else n)


def sent(fields):
    """What everyone gets of some fields."""
    return [f for f in fields if f.audience == 0]


class Values:
    """Forms of a field: full, and new against an old value."""

    def __init__(self, bits):
        self.b = bits

    def group(self, fields):
        return {f.name: self.full(f) for f in fields}

    def new_group(self, fields, old):
        return {f.name: self.new(f, old[f.name]) if len(fields) == 1 or self.b.read(1) else old[f.name] for f in fields}

    def full(self, f, element=False):
        if f.type == MESSAGE:
            return self.group(sent(f.fields)) if element or self.b.read(1) else None
        if f.optional and not self.b.read(1):
            return None
        if f.type == BOOL:
            return bool(self.b.read(1))
        if f.type == ANGLE:
            return self.b.read(f.bits)
        if f.type == LIST:
            return [self.full(f.fields[0], True) for _ in range(self.size(f))]
        if f.type == MAP:
            return dict(self.entry(f) for _ in range(self.size(f)))
        if f.bits and f.type in (INT32, UINT32, INT64, UINT64, STEPS):
            return f.min + self.b.read(f.bits)
        return self.new(f, 0, True)

    def new(self, f, old, there=False, element=False):
        """The new form; `there` says that the bit of an optional field was read."""
        b = self.b
        if f.type == MESSAGE:
            if not element and not b.read(1):
                return None
            return self.group(sent(f.fields)) if old is None else self.new_group(sent(f.fields), old)
        if f.optional and not there:
            if not b.read(1):
                return None
            if old is None:
                return self.full(SimpleNamespace(**{**vars(f), "optional": 0}))
        if f.type == BOOL:
            return not old
        if f.type == ENUM:
            return b.read(f.bits)
        if f.type in (FLOAT32, FLOAT64):
            return struct.unpack("<f" if f.type == FLOAT32 else "<d", b.read(32 * (f.type - 6)).to_bytes(4 * (f.type - 6), "little"))[0]
        if f.type == ANGLE:
            if f.bits <= 4 or b.read(1):
                return b.read(f.bits)
            return (old + b.read(f.bits - 4) - (1 << f.bits - 5)) % (1 << f.bits)
        if f.type == ENTITY:
            return b.choose(0, 16, 32, 64)[1]
        if f.type in (TEXT, BYTES):
            data = bytes(b.read(8) for _ in range(self.size(f)))
            return data.decode() if f.type == TEXT else data
        if f.type == LIST:
            return self.new_list(f, old)
        if f.type == MAP:
            return self.new_map(f, old)
        return self.number(f, old)

    def number(self, f, old):
        """A number of any range, against the old one."""
        if f.bits and f.bits <= 8:
            return f.min + self.b.read(f.bits)
        if f.bits:
            which, n = self.b.choose(4, 8, f.bits)
            return f.min + n if which == 2 else old + zigzag(n)
        long = f.type in (INT64, UINT64)
        value = old + zigzag(self.b.choose(*((4, 8, 16, 32, 64) if long else (4, 8, 16, 32)))[1])
        bits = 64 if long else 32
        return value % (1 << bits) if f.type in (UINT32, UINT64) else signed(value, bits)

    def size(self, f):
        n = self.b.count()
        if n > f.max:
            raise Malformed(f"{f.name} has {n} elements, more than {f.max}")
        return n

    def entry(self, f):
        key = self.full(f.fields[0], True)
        return key, self.full(f.fields[1], True)

    def new_list(self, f, old):
        kept, gone, come = self.b.count(), self.b.count(), self.b.count()
        if kept + gone > len(old) or len(old) - gone + come > f.max:
            raise Malformed(f"{f.name}: the list does not fit its old one")
        element, middle = f.fields[0], []
        for i in range(come):
            if i >= gone:
                middle.append(self.full(element, True))
            else:
                was = old[kept + i]
                middle.append(self.new(element, was, element=True) if self.b.read(1) else was)
        return old[:kept] + middle + old[kept + gone:]

    def new_map(self, f, old):
        keys, new = list(old), dict(old)

        def places():
            at = -1
            for _ in range(self.b.count()):
                at += 1 + self.b.count()
                if at >= len(keys):
                    raise Malformed(f"{f.name}: no entry {at}")
                yield keys[at]
        for key in places():
            del new[key]
        for key in places():
            new[key] = self.new(f.fields[1], old[key], element=True)
        new.update(self.entry(f) for _ in range(self.size(f)))
        return dict(sorted(new.items()))


class Motion:
    """The component with a place, as a layout describes it."""

    def __init__(self, component):
        m = component.motion
        named = {f.id: f for f in component.fields}
        axes = [(named[p], named.get(v), flat) for p, v, flat in ((m.x, m.vx, True), (m.y, m.vy, False), (m.z, m.vz, True)) if p]
        self.axes = axes
        self.heading = named[m.heading] if m.polar else None
        taken = {f.name for p, v, _ in axes for f in (p, v) if f} | ({self.heading.name} if self.heading else set())
        self.others = [f for f in sent(component.fields) if f.name not in taken]
        self.origins = {p.name: o for p, o in ((named[m.x], "origin_x"), (named[m.z], "origin_z"))}  # of the row, that full positions count from
        self.flat = [v.name for _, v, flat in axes if flat and v]
        self.up = [v.name for _, v, flat in axes if not flat and v]

    def full(self, values, row):
        b, state = values.b, {}
        for p, _, flat in self.axes:
            here = flat and not p.bits
            state[p.name] = signed(b.read(row.position_bits) + getattr(row, self.origins[p.name]), 32) if here else values.full(p)
        if not self.heading:
            state |= {v.name: b.velocity(0) for _, v, _ in self.axes if v}
        else:
            h = state[self.heading.name] = b.read(self.heading.bits)
            which, n = b.choose(11, 0)
            state |= dict(zip(self.flat, (b.velocity(0), b.velocity(0)) if which else self.at_speed(h, n)))
            state |= {name: b.velocity(0) for name in self.up}
        return state | values.group(self.others)

    def new(self, values, old, ticks):
        b, state = values.b, dict(old)
        if self.heading:
            self.new_polar(values, old, state)
        elif b.read(1):
            state |= {v.name: b.velocity(old[v.name]) for _, v, _ in self.axes if v}
        for f in self.others:
            if b.read(1):
                state[f.name] = values.new(f, old[f.name])
        turned = any(state[v.name] != old[v.name] for _, v, _ in self.axes if v)
        exact = b.read(1)
        hypothesis = exact and turned and b.read(1)
        for p, v, _ in self.axes:
            moved = (old[v.name] * (ticks - 1) + state[v.name] if hypothesis else old[v.name] * ticks) if v else 0
            state[p.name] = signed(old[p.name] + moved + (b.residual() if exact else 0), 32)
        return state

    def new_polar(self, values, old, state):
        b, f = values.b, self.heading
        if b.read(1):
            state[f.name] = values.new(f, old[f.name], True)
        was = tuple(old[name] for name in self.flat)
        if b.read(1):
            new = tuple(b.velocity(v) for v in was)
        else:
            speed = b.read(11) if b.read(1) else self.speed(old[f.name], was)
            new = self.at_speed(state[f.name], speed)
        state |= zip(self.flat, new)
        for name in self.up:
            if b.read(1):
                state[name] = b.velocity(old[name])

    def arms(self, h):
        k = self.heading.bits
        return tuple(round(2**14 * math.cos(2 * math.pi * a / 2**k)) for a in (h, h - 2 ** (k - 2)))

    def at_speed(self, h, speed):
        return tuple(c * speed + 2**13 >> 14 for c in self.arms(h))

    def speed(self, h, was):
        c, s = self.arms(h)
        near = max(0, c * was[0] + s * was[1] + 2**13 >> 14)
        return next((n for n in (near, near - 1, near + 1) if n >= 0 and self.at_speed(h, n) == was), near)


class World:
    """What a connection has been told: the zone table, and entities by their local index. A component that an entity lacks is None in its state."""

    def __init__(self, layout):
        self.kinds, self.rows, self.entities = {}, {}, {}
        components = {c.id: c for c in layout.components}
        for kind in layout.kinds:
            own = [components[i] for i in kind.components]
            place = next((c for c in own if c.motion), None)
            self.kinds[kind.id] = SimpleNamespace(
                name=kind.name, place=place, motion=place and Motion(place), all=own,
                groups=[(c.name, sent(c.fields), c.id in kind.optional) for c in own if c is not place and sent(c.fields)])

    def row(self, zone):
        if any(e.row.index == zone.index for e in self.entities.values()):
            raise Malformed(f"row {zone.index} becomes another zone's while entities of it are there")
        self.rows[zone.index] = SimpleNamespace(**vars(zone), last=zone.tick, input=0)

    def read(self, payload):
        b = Bits(payload)
        while True:
            self.section(b)
            if not b.read(1):
                break
        if len(payload) * 8 - b.at > 7 or b.read(len(payload) * 8 - b.at):
            raise Malformed("something stands behind the last section")

    def section(self, b):
        index = b.read(4)
        row = self.rows.get(index)
        if row is None:
            raise Malformed(f"no row {index} in the zone table")
        which, d = b.choose(0, 6)
        row.last = (b.read(32) if d == 63 else row.last + (d if which else 1)) % 2**32
        d = b.read(2)
        row.input = b.read(32) if d == 3 else (row.input + d) % 2**32
        width = b.read(4)
        leaves, enters, updates = b.count(), b.count(), b.count()
        for _ in range(leaves):
            if self.entities.pop(b.read(width), None) is None:
                raise Malformed("an entity leaves that is not there")
        for _ in range(enters):
            self.enter(b, width, row)
        for _ in range(updates):
            e = self.entities.get(b.read(width))
            if e is None:
                raise Malformed("an update of an entity that is not there")
            self.update(Values(b), e, row)

    def enter(self, b, width, row):
        index, (whole, number), kind = b.read(width), b.choose(32, 64), b.read(4)
        if not whole:  # the zone's own number
            number |= (row.zone - 1) % 2**32 << 32
        kind = self.kinds.get(b.read(16) if kind == 15 else kind)
        old = self.entities.get(index)  # what crossed keeps its index
        if kind is None or old and (old.id, old.kind) != (number, kind):
            raise Malformed("an entity of no kind enters, or at an index in use")
        e = self.entities[index] = old or SimpleNamespace(id=number, kind=kind, base=0, state={})
        e.row = row
        self.full(Values(b), e, row, b.age())

    def full(self, values, e, row, age):
        e.base = (row.last - age) % 2**32
        e.state = {e.kind.place.name: e.kind.motion.full(values, row)} if e.kind.place else {}
        e.state |= {name: None if optional and not values.b.read(1) else values.group(fields) for name, fields, optional in e.kind.groups}

    def update(self, values, e, row):
        b = values.b
        if not b.read(1):
            self.delta(values, e, row, 0)
        elif b.read(1):
            self.full(values, e, row, b.age())
        else:
            self.delta(values, e, row, b.age())

    def delta(self, values, e, row, age):
        if e.kind.place and values.b.read(1):
            base, name = (row.last - age) % 2**32, e.kind.place.name
            e.state[name] = e.kind.motion.new(values, e.state[name], signed(base - e.base, 32))
            e.base = base
        for name, fields, optional in e.kind.groups:
            if not values.b.read(1):
                continue
            old = e.state[name]
            if old is None:
                e.state[name] = values.group(fields)
            elif optional and values.b.read(1):
                e.state[name] = None
            else:
                e.state[name] = values.new_group(fields, old)

    def find(self, number):
        return next((e for e in self.entities.values() if e.id == number), None)

    def shown(self, e):
        """The entity now: components by name with their fields in the game's units, the place reckoned to the last tick."""
        out = {}
        for c in e.kind.all:
            if not e.state.get(c.name):  # lacking, or nothing that everyone gets
                continue
            steps = dict(e.state[c.name])
            if c is e.kind.place:
                for p, v, _ in e.kind.motion.axes:
                    steps[p.name] += steps[v.name] * signed(e.row.last - e.base, 32) if v else 0
            named = {f.name: f for f in c.fields}
            out[c.name] = {name: meaning(named[name], value) for name, value in steps.items()}
        return out


def meaning(f, value):
    if f.type == ANGLE and value is not None:
        return value * 2 * math.pi / 2**f.bits
    return f.origin + value * f.quantum if f.quantum and value is not None else value
