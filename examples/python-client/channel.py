"""The sealed channel of docs/ProtoDesignMaunal_v1.0.md: handshake (section 3), records (4), frames (5) and the messages in them.

A Connection is one socket. Nothing here knows of sessions, which outlive connections: that is client.py.
"""

import hashlib
import hmac
import os
import socket
import struct
from types import SimpleNamespace

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

VERSION, SUBPROTOCOL = 4, b"mmo.v1"
NO_SCHEMA = bytes(8)  # the fingerprint of a client that wants to be told the layout
HS1, HS2, REJECT, DATA = b"\x40", b"\x48", b"\x50", b"\x58"
PUSH, REQUEST, RESPONSE, ERROR, ACK, CONTROL, STATE = range(7)
REL, JSON = 0x08, 0x20
PING, PONG, ECHO, GOAWAY, KICK, BYE, RESUME, RESUMED, QUEUE, WARNING = range(1, 11)
LOGIN, ZONE, AVATAR, STATUS, LAYOUT, TICKET = range(32, 38)
MOVE, SPECTATE, MOVE_REFUSED = range(64, 67)


class Broken(Exception):
    """The server said something that the manual does not allow, or a step did not come true."""


class Ended(Exception):
    """The connection ended: a code of section 6, or None if it was lost."""

    def __init__(self, code, reason):
        super().__init__(f"connection ended: {code} {reason}")
        self.code = code


class Rejected(Exception):
    """The answer to HS1 was REJECT: a code of section 3."""

    def __init__(self, code):
        super().__init__(f"handshake rejected: {code}")
        self.code = code


def must(holds, what):
    if not holds:
        raise Broken(what)


# ---- Protobuf, as much as the messages here need ------------------------------------------------------------------------

MESSAGES = {  # number: name and type, "*" marks a list
    "LoginRequest": {1: "token text", 2: "client text"},
    "LoginResponse": {1: "session_id uint", 2: "player_id uint", 3: "name text", 4: "rights text*", 5: "server text", 6: "queued uint"},
    "Error": {1: "code uint", 2: "message text", 3: "retry_after_ms uint"},
    "Zone": {1: "index uint", 2: "zone uint", 3: "epoch uint", 4: "tick uint", 5: "tick_hz uint", 6: "position_bits uint",
             7: "quanta_per_metre double", 8: "width uint", 9: "height uint", 10: "enter_radius uint", 11: "leave_radius uint",
             12: "origin_x sint", 13: "origin_z sint"},
    "Avatar": {1: "entity uint", 2: "zone uint"},
    "Ticket": {1: "ticket bytes", 2: "secret bytes", 3: "linger_ms uint"},
    "Resume": {1: "last_seq uint"},
    "Resumed": {1: "recovered uint", 2: "session_id uint", 3: "last_request uint", 4: "queued uint", 5: "reason text"},
    "Kick": {1: "code uint", 2: "reason text"},
    "Layout": {1: "name text", 2: "fingerprint fixed64", 3: "tick_hz uint", 4: "components LayoutComponent*", 5: "kinds LayoutKind*"},
    "LayoutComponent": {1: "id uint", 2: "name text", 3: "fields LayoutField*", 4: "motion LayoutMotion"},
    "LayoutMotion": {1: "x uint", 2: "y uint", 3: "z uint", 4: "vx uint", 5: "vy uint", 6: "vz uint", 7: "heading uint", 8: "polar uint"},
    "LayoutField": {1: "id uint", 2: "name text", 3: "type uint", 4: "bits uint", 5: "min sint", 6: "quantum double", 7: "origin double",
                    8: "optional uint", 9: "audience uint", 10: "interp uint", 11: "priority uint", 12: "predicted uint", 13: "max uint",
                    14: "fields LayoutField*", 15: "limit sint"},
    "LayoutKind": {1: "id uint", 2: "name text", 3: "components uint*", 4: "sees double", 5: "layer text", 6: "optional uint*"},
    "Move": {1: "seq uint", 2: "tick uint", 3: "vx sint", 4: "vz sint"},
    "Spectate": {1: "radius uint"},
}
ABSENT = {"uint": 0, "sint": 0, "fixed64": bytes(8), "double": 0.0, "text": "", "bytes": b""}


def uvarint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_uvarint(data, at, most=5):
    value = 0
    for i in range(most):
        must(at + i < len(data), "a varint is cut off")
        value |= (data[at + i] & 127) << 7 * i
        if data[at + i] < 128:
            must(most > 5 or value < 1 << 32, "a uvarint is above 2^32-1")
            return value, at + i + 1
    raise Broken(f"a varint is longer than {most} bytes")


def zigzag(u):
    return u >> 1 ^ -(u & 1)


def encode(name, **values):
    """A message of text and numbers; zeros are left out."""
    out = b""
    for number, (field, kind) in ((n, f.split()) for n, f in MESSAGES[name].items()):
        value = values.pop(field, 0)
        if kind == "text" and value:
            out += uvarint(number << 3 | 2) + uvarint(len(value.encode())) + value.encode()
        elif value:
            out += uvarint(number << 3) + uvarint((value << 1 if value >= 0 else -value * 2 - 1) if kind == "sint" else value)
    must(not values, f"{name} has no fields {list(values)}")
    return out


def decode(name, data):
    """All fields of the message: those that did not come are zero, empty or None. Unknown ones are skipped."""
    fields = {number: field.split() for number, field in MESSAGES[name].items()}
    message = SimpleNamespace(**{field: [] if kind[-1] == "*" else ABSENT.get(kind) for field, kind in fields.values()})
    at = 0
    while at < len(data):
        tag, at = read_uvarint(data, at)
        if tag & 7 == 0:
            value, at = read_uvarint(data, at, 10)
        elif tag & 7 in (1, 2, 5):
            size, at = read_uvarint(data, at) if tag & 7 == 2 else (8 if tag & 7 == 1 else 4, at)
            value, at = data[at:at + size], at + size
            must(at <= len(data), f"{name} is cut off")
        else:
            raise Broken(f"{name} has wire type {tag & 7}")
        field, kind = fields.get(tag >> 3, (None, None))
        if field is None:
            continue
        many, kind = kind[-1] == "*", kind.rstrip("*")
        if kind == "uint" and many and isinstance(value, bytes):  # packed
            while value:
                number, size = read_uvarint(value, 0, 10)
                message.__dict__[field].append(number)
                value = value[size:]
            continue
        if kind == "sint":
            value = zigzag(value)
        elif kind == "double":
            value, = struct.unpack("<d", value)
        elif kind == "text":
            value = value.decode()
        elif kind in MESSAGES:
            value = decode(kind, value)
        if many:
            message.__dict__[field].append(value)
        else:
            message.__dict__[field] = value
    return message


# ---- Handshake: section 3 -----------------------------------------------------------------------------------------------


def read_certificate(cert, root, now):
    """The key id and the static key of the server, if the root vouches for them now."""
    must(len(cert) == 119, f"the certificate has {len(cert)} bytes, not 119")
    version, key_id, public, start, end, suites = struct.unpack("<BI32sQQH", cert[:55])
    try:
        Ed25519PublicKey.from_public_bytes(root).verify(cert[55:], b"GW1-keycert" + cert[:55])
    except InvalidSignature:
        raise Broken("the root did not sign the certificate") from None
    must(version == 1 and start <= now <= end and suites & 1, "the certificate is not valid now, or not for suite 1")
    return SimpleNamespace(key_id=key_id, public=public, suites=suites, end=end)


class Noise:
    """The client's side of suite 1, or of suite 2 if there is a ticket (section 3.1)."""

    def __init__(self, key, realm, ticket, fingerprint=NO_SCHEMA):
        self.key, self.ticket, self.suite, self.fingerprint = key, ticket, 2 if ticket else 1, fingerprint
        name = b"Noise_NKpsk2_25519_AESGCM_SHA256" if ticket else b"Noise_NK_25519_AESGCM_SHA256"
        self.h = self.ck = name.ljust(32, b"\0")
        self.head = struct.pack("<BIBB", self.suite, key.key_id, VERSION, VERSION)
        self.mix_hash(b"MMOGW\x01" + struct.pack("<BBBI", self.suite, VERSION, VERSION, key.key_id)
                      + bytes([len(SUBPROTOCOL)]) + SUBPROTOCOL + bytes([len(realm)]) + realm)
        self.mix_hash(key.public)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def hkdf(self, data):
        def mac(key, text):
            return hmac.new(key, text, hashlib.sha256).digest()
        t = mac(self.ck, data)
        first = mac(t, b"\1")
        second = mac(t, first + b"\2")
        return first, second, mac(t, second + b"\3")

    def mix_key(self, data):
        self.ck, self.k, _ = self.hkdf(data)

    def mix_public(self, public):
        self.mix_hash(public)
        if self.suite == 2:
            self.mix_key(public)

    def first(self, ephemeral, random):
        """HS1. Both are for this handshake alone. The library refuses a Diffie-Hellman result of zero."""
        self.e = ephemeral
        public = ephemeral.public_key().public_bytes_raw()
        self.mix_public(public)
        self.mix_key(self.e.exchange(X25519PublicKey.from_public_bytes(self.key.public)))
        payload = random + self.fingerprint + (self.ticket.ticket if self.ticket else b"")
        sealed = AESGCM(self.k).encrypt(bytes(12), payload, self.h)
        self.mix_hash(sealed)
        return HS1 + self.head + public + sealed

    def second(self, answer):
        """What HS2 says, and the keys to send and to receive with."""
        must(len(answer) == 103 and answer[:1] == HS2, "HS2 is not 103 bytes of kind 0x48")
        public, sealed = answer[1:33], answer[33:]
        self.mix_public(public)
        self.mix_key(self.e.exchange(X25519PublicKey.from_public_bytes(public)))
        if self.ticket:
            self.ck, temp, self.k = self.hkdf(self.ticket.secret)
            self.mix_hash(temp)
        try:
            payload = AESGCM(self.k).decrypt(bytes(12), sealed, self.h)
        except InvalidTag:
            raise Broken("HS2 does not open: the server has not the key of the certificate") from None
        names = "version flags fingerprint time id record_max idle_ms rekey_records rekey_bytes ack_every ack_after_ms"
        terms = SimpleNamespace(**dict(zip(names.split(), struct.unpack("<BB8sQ16sIIIIHH", payload))))
        must(terms.version == VERSION and terms.flags == 0, "HS2 has another version or flags")
        must(all((terms.idle_ms, terms.rekey_records, terms.rekey_bytes, terms.ack_every, terms.ack_after_ms)), "a limit in HS2 is 0")
        must(terms.record_max > 17, "record_max in HS2 is 17 or less")
        return terms, *self.hkdf(b"")[:2]


# ---- Records: section 4 -------------------------------------------------------------------------------------------------


class Direction:
    """One direction of the channel: a key, a counter that never restarts, and two counts since the last rekey."""

    def __init__(self, key, terms):
        self.key, self.terms, self.counter, self.records, self.bytes = key, terms, 0, 0, 0

    def nonce(self):
        return bytes(4) + self.counter.to_bytes(8, "big")

    def count(self, plaintext):
        self.counter, self.records, self.bytes = self.counter + 1, self.records + 1, self.bytes + len(plaintext)
        if self.records >= self.terms.rekey_records or self.bytes >= self.terms.rekey_bytes:
            self.key = AESGCM(self.key).encrypt(bytes(4) + b"\xff" * 8, bytes(32), None)[:32]
            self.records = self.bytes = 0

    def seal(self, plaintext):
        record = DATA + AESGCM(self.key).encrypt(self.nonce(), plaintext, DATA)
        must(len(record) <= self.terms.record_max, "a record would be above record_max")
        self.count(plaintext)
        return record

    def open(self, record):
        must(record[:1] == DATA and 17 <= len(record) <= self.terms.record_max, "a record is no DATA, or of a wrong size")
        try:
            plaintext = AESGCM(self.key).decrypt(self.nonce(), record[1:], DATA)
        except InvalidTag:
            raise Broken(f"record {self.counter} does not open") from None
        self.count(plaintext)
        return plaintext


class Connection:
    """A WebSocket with a sealed channel in it: suite 1, or suite 2 with a ticket."""

    def __init__(self, server, ticket=None):
        self.socket = connect(server.url, subprotocols=[SUBPROTOCOL.decode()], compression=None, proxy=None, ping_interval=None,
                              open_timeout=5, close_timeout=2, max_size=1 << 20)
        must(self.socket.subprotocol == SUBPROTOCOL.decode(), "the server did not take the subprotocol")
        noise = Noise(server.key, server.realm.encode(), ticket)
        self.socket.send(noise.first(X25519PrivateKey.generate(), os.urandom(16)))
        answer = self.message(5)
        if answer and answer[:1] == REJECT:
            raise Rejected(int.from_bytes(answer[1:3], "little"))
        self.terms, send, receive = noise.second(answer or b"")
        self.sending, self.receiving = Direction(send, self.terms), Direction(receive, self.terms)

    def message(self, seconds):
        """The next message, or None if none came in that time."""
        try:
            message = self.socket.recv(timeout=max(seconds, 0))
        except TimeoutError:
            return None
        except ConnectionClosed as end:
            raise Ended(end.rcvd and end.rcvd.code, end.rcvd and end.rcvd.reason) from None
        must(isinstance(message, bytes), "a text message came")
        return message

    def send(self, frames):
        try:
            self.socket.send(self.sending.seal(frames))
        except ConnectionClosed as end:
            raise Ended(end.rcvd and end.rcvd.code, end.rcvd and end.rcvd.reason) from None

    def receive(self, seconds):
        record = self.message(seconds)
        return [] if record is None else read_frames(self.receiving.open(record))

    def cut(self):
        """As when the network goes: no BYE, no close frame."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)


# ---- Frames: section 5 --------------------------------------------------------------------------------------------------


def frame(kind, route, payload, request=None, flags=0):
    """A PUSH, REQUEST or CONTROL frame."""
    return bytes([kind | flags]) + uvarint(route) + (b"" if request is None else uvarint(request)) + uvarint(len(payload)) + payload


def read_frames(data):
    frames, at = [], 0
    while at < len(data):
        kind, flags, at = data[at] & 7, data[at] & 0xf8, at + 1
        f = SimpleNamespace(kind=kind, route=None, request=None, seq=None, json=bool(flags & JSON))
        must(kind in (PUSH, RESPONSE, ERROR, CONTROL, STATE), f"the server sent a frame of type {kind}")
        allowed = {PUSH: REL | JSON, RESPONSE: REL | JSON, ERROR: REL | JSON, CONTROL: JSON, STATE: 0}
        must(not flags & ~allowed[kind], f"a frame of type {kind} has the flags {flags:#x}")
        if kind != STATE:
            f.route, at = read_uvarint(data, at)
        if kind in (RESPONSE, ERROR):
            f.request, at = read_uvarint(data, at)
        if flags & REL:
            f.seq, at = read_uvarint(data, at)
        size, at = read_uvarint(data, at)
        f.payload, at = data[at:at + size], at + size
        must(at <= len(data), "a frame goes beyond its record")
        frames.append(f)
    return frames
