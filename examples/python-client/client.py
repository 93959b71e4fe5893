#!/usr/bin/env python3
"""A client of a development server, written from docs/ProtoDesignMaunal_v1.0.md alone.

It logs in, reads the world, asks for something, loses its connection, comes back to the same session and leaves. Every
step is checked; the exit code is 0 only if all of them held. Sections named here are those of the manual: channel.py is
sections 3 to 5, state.py is section 7, this file is section 9 and the story.
"""

import argparse
import base64
import json
import random
import sys
import time
import urllib.parse
import urllib.request
from types import SimpleNamespace

from websockets.exceptions import WebSocketException

import channel
from channel import (ACK, AVATAR, BYE, CONTROL, ECHO, ERROR, GOAWAY, JSON, KICK, LAYOUT, LOGIN, MOVE, PING, PONG, PUSH, QUEUE, REQUEST,
                     RESPONSE, RESUME, RESUMED, SPECTATE, STATE, TICKET, WARNING, ZONE, Broken, Connection, Ended, Rejected, decode,
                     encode, frame, must)
from state import Malformed, World


def check(what, holds, detail=""):
    if not holds:
        raise Broken(f"{what}: {detail or 'it does not hold'}")
    print(f"ok    {what:<36} {detail}".rstrip(), flush=True)


def development_server(page, name):
    """What GET /dev/session tells (section 11), the certificate checked."""
    quiet = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with quiet.open(urllib.parse.urljoin(page, "/dev/session?" + urllib.parse.urlencode({"name": name})), timeout=10) as answer:
        told = json.load(answer)
    key = channel.read_certificate(base64.b64decode(told["cert"]), base64.b64decode(told["root"]), time.time())
    at = urllib.parse.urlsplit(urllib.parse.urljoin(page, told["ws"]))
    url = at._replace(scheme="wss" if at.scheme == "https" else "ws").geturl()
    return SimpleNamespace(url=url, key=key, realm=told["realm"], token=told["token"], fingerprint=bytes.fromhex(told["schema_hash"]),
                           build=told["build"])


class Session:
    """A session: what outlives a connection, and the connection that it has now. One thread: nothing happens but in `wait`."""

    def __init__(self, server):
        self.server, self.connection, self.ticket, self.avatar = server, None, None, None
        self.last_request = self.last_seq = self.acknowledged = 0
        self.answers, self.unanswered = {}, {}  # by id of the request: frames that came, frames that went

    def open(self, ticket=None):
        """A new connection. What belonged to the old one is forgotten; the layout comes again."""
        self.connection = Connection(self.server, ticket)
        self.terms = self.connection.terms
        self.layout = self.world = self.resumed = self.round_trip = self.ack_due = None
        self.states = self.echoed = 0
        self.heard = self.ping_due = time.monotonic()

    # Sending: acknowledgements go along with whatever is sent (sections 7 and 9.2).

    def send(self, frames=b""):
        if self.states != self.echoed:
            frames += frame(CONTROL, ECHO, (self.states % 65536).to_bytes(2, "little"))
            self.echoed = self.states
        if self.last_seq > self.acknowledged:
            frames += bytes([ACK]) + channel.uvarint(self.last_seq)
            self.acknowledged, self.ack_due = self.last_seq, None
        if frames:
            self.connection.send(frames)

    def request(self, route, payload, flags=0):
        """Sends a request and tells its id, which no connection of this session uses again."""
        self.last_request += 1
        self.unanswered[self.last_request] = frame(REQUEST, route, payload, self.last_request, flags)
        self.send(self.unanswered[self.last_request])
        return self.last_request

    def answer(self, request, seconds=10):
        self.wait(f"the answer to request {request}", lambda: request in self.answers, seconds)
        f = self.answers.pop(request)
        if f.kind == ERROR:
            error = decode("Error", f.payload) if not f.json else f.payload
            raise Broken(f"request {request} was refused: {error}")
        return f

    # Receiving.

    def wait(self, what, until, seconds=10):
        """Plays by the rules of section 12 until something is true."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            must(now < end, f"{what} did not come within {seconds} s")
            must(now < self.heard + self.terms.idle_ms / 1000, "the server fell silent")
            if now >= self.ping_due:
                self.send(frame(CONTROL, PING, round(now * 1e6).to_bytes(8, "little")))
                self.ping_due = now + self.terms.idle_ms / 3000
            due = min(end, self.ping_due, self.ack_due or end)
            frames = self.connection.receive(due - now)
            if frames:
                self.heard = time.monotonic()
            for f in frames:
                self.take(f)
            waits = self.last_seq - self.acknowledged
            if self.states != self.echoed or waits >= self.terms.ack_every or (self.ack_due and time.monotonic() >= self.ack_due):
                self.send()

    def take(self, f):
        if f.seq is not None:
            if f.seq <= self.last_seq:
                return  # a repetition
            must(f.seq == self.last_seq + 1, f"message {f.seq} follows {self.last_seq}")
            self.last_seq = f.seq
            self.ack_due = self.ack_due or time.monotonic() + self.terms.ack_after_ms / 1000
        if f.kind == STATE:
            must(self.world is not None, "state came before the layout")
            self.world.read(f.payload)
            self.states += 1
        elif f.kind in (RESPONSE, ERROR) and f.request:
            self.unanswered.pop(f.request, None)
            self.answers[f.request] = f
        elif f.kind == ERROR:
            raise Broken(f"the server refused a frame: {decode('Error', f.payload)}")
        elif f.kind == CONTROL:
            self.control(f)
        elif f.route == LAYOUT:
            self.layout = decode("Layout", f.payload)
            self.world = World(self.layout)
        elif f.route == ZONE:
            must(self.world is not None, "the zone table came before the layout")
            self.world.row(decode("Zone", f.payload))
        elif f.route == AVATAR:
            self.avatar = decode("Avatar", f.payload)
        elif f.route == TICKET:
            self.ticket = decode("Ticket", f.payload)  # other pushes are skipped

    def control(self, f):
        if f.route == PONG:
            must(len(f.payload) == 16, "a PONG has not 16 bytes")
            self.round_trip = time.monotonic() - int.from_bytes(f.payload[:8], "little") / 1e6
        elif f.route == KICK:
            kick = decode("Kick", f.payload)
            raise Ended(kick.code, kick.reason)
        elif f.route == RESUMED:
            self.resumed = decode("Resumed", f.payload)
        elif f.route in (GOAWAY, QUEUE, WARNING):
            print(f"note  control message {f.route}")

    # The steps of section 9.

    def login(self):
        request = self.request(LOGIN, encode("LoginRequest", token=self.server.token, client="python/1"))
        return decode("LoginResponse", self.answer(request).payload)

    def resume(self):
        """Comes back with the ticket; what never arrived is sent again."""
        must(self.server.key.suites & 2, "the server's key is not for suite 2: log in anew")
        time.sleep(random.uniform(0, 0.05))  # section 6: a thousand clients may have lost the same gateway
        self.open(self.ticket)
        self.acknowledged = self.last_seq  # RESUME acknowledges
        self.connection.send(frame(CONTROL, RESUME, encode("Resume", last_seq=self.last_seq)))
        self.wait("RESUMED", lambda: self.resumed)
        if self.resumed.recovered:
            for request, again in sorted(self.unanswered.items()):
                if request > self.resumed.last_request:
                    self.send(again)
        return self.resumed

    def leave(self):
        """BYE, and then whatever the server still has to say until it closes."""
        self.send(frame(CONTROL, BYE, b""))
        try:
            self.wait("the end", lambda: False, 5)
        except Ended as end:
            return end.code


def show(entity):
    def text(value):
        return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return "  ".join(f"{component} " + " ".join(f"{name}={text(value)}" for name, value in fields.items())
                     for component, fields in entity.items())


def see_world(session):
    """The layout, the zone table, and state until the own avatar is in it."""
    session.wait("the layout", lambda: session.layout)
    layout, world = session.layout, session.world
    check("layout", layout.fingerprint == session.terms.fingerprint,
          f"{layout.name}: " + ", ".join(f"{k.name} ({' '.join(c.name for c in world.kinds[k.id].all)})" for k in layout.kinds))
    session.wait("the zone table", lambda: world.rows)
    row = next(iter(world.rows.values()))
    check("zone table", row.tick_hz == layout.tick_hz, f"zone {row.zone}, {row.width} by {row.height} quanta, tick {row.tick}")
    session.wait("the avatar", lambda: session.avatar)
    session.wait("state with the avatar in it", lambda: world.find(session.avatar.entity) and session.states >= 3)
    check("state", world.entities, f"{session.states} frames, {len(world.entities)} entities in sight; two of them:")
    for entity in sorted(world.entities.values(), key=lambda e: e.id != session.avatar.entity)[:2]:
        print(f"      {entity.kind.name} {entity.id}: {show(world.shown(entity))}")


def story(page, with_json):
    server = development_server(page, "Ann")
    check("certificate", True, f"key {server.key.key_id:#x}, signed by the root, build {server.build}")

    session = Session(server)
    session.open()
    check("handshake, suite 1", session.terms.fingerprint == server.fingerprint, f"fingerprint {server.fingerprint.hex()}")
    who = session.login()
    check("login", who.session_id and not who.queued, f"session {who.session_id}, player {who.player_id} {who.name}, rights {who.rights}")
    see_world(session)
    session.wait("a ticket", lambda: session.ticket)
    check("ticket", len(session.ticket.secret) == 32, f"{len(session.ticket.ticket)} bytes, good for {session.ticket.linger_ms} ms")

    answer = session.answer(session.request(SPECTATE, encode("Spectate", radius=320)))
    check("request", decode("Spectate", answer.payload).radius == 320, f"plains.spectate: radius 320, message {answer.seq}")
    if with_json:
        answer = session.answer(session.request(SPECTATE, b'{"radius":160}', JSON))
        check("request in JSON", answer.json and json.loads(answer.payload) == {"radius": 160}, answer.payload.decode())

    session.wait("PONG", lambda: session.round_trip)
    avatar = session.world.find(session.avatar.entity)
    inwards = 4 if session.world.shown(avatar)["Transform"]["x"] < 100 else -4  # m/s, in 1/16 m/s on the wire
    session.send(frame(PUSH, MOVE, encode("Move", seq=1, tick=avatar.row.last + 4, vx=inwards * 16)))
    session.wait("input 1", lambda: avatar.row.input == 1)
    session.wait("a step", lambda: session.world.shown(avatar)["Transform"]["vx"] == inwards)
    check("input", True, f"plains.move: {show(session.world.shown(avatar))}")
    session.wait("all acknowledged", lambda: session.acknowledged == session.last_seq)
    check("acknowledged", session.states == session.echoed, f"messages up to {session.last_seq}, {session.states} state frames, "
          f"round trip {session.round_trip * 1000:.1f} ms")

    # The answer to one request is lost with the connection, and so is a whole request.
    ticket, avatar, came = session.ticket, session.avatar, session.last_seq
    lost = [session.request(SPECTATE, encode("Spectate", radius=640))]
    time.sleep(0.2)
    session.connection.cut()
    try:
        lost.append(session.request(SPECTATE, encode("Spectate", radius=480)))
    except Ended:
        lost.append(session.last_request)
    print(f"note  connection cut, requests {lost} without an answer")

    resumed = session.resume()
    check("resumed, suite 2", resumed.recovered and resumed.session_id == who.session_id,
          f"session {resumed.session_id} recovered, request {resumed.last_request} is the last that arrived")
    radii = [decode("Spectate", session.answer(request).payload).radius for request in lost]
    session.wait("a new ticket", lambda: session.ticket is not ticket)
    check("tail", radii == [640, 480] and session.last_seq >= came + 3,
          f"messages {came + 1} to {session.last_seq}: both answers and a ticket")
    see_world(session)
    check("avatar", session.avatar is avatar, f"is still entity {avatar.entity}")

    code = session.leave()
    check("BYE", True, f"the server closed with {code}")
    try:
        over = f"resume is answered with {session.resume().reason!r}"
        check("the session is over", not session.resumed.recovered, over)
    except Rejected as refused:
        check("the session is over", refused.code == 6, "its ticket is refused")


def main():
    flags = argparse.ArgumentParser(description="plays through the protocol manual against a development server")
    flags.add_argument("page", help="address of a development server, as it prints it: http://127.0.0.1:8080/")
    flags.add_argument("--json", action="store_true", help="send one request in JSON, too")
    given = flags.parse_args()
    try:
        story(given.page, given.json)
    except (Broken, Ended, Malformed, Rejected, WebSocketException, ValueError, OSError) as fault:
        print(f"FAIL  {fault}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
