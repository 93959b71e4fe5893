package link

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Version of everything that the two ends of a link say to each other; both must have the same.
//
//	1  2026-11-22  first version
//	2  2026-11-23  sessions of the server, over connections of the gateway: resume, acknowledgements, epochs; descriptors
//	3  2026-11-23  several zones of one world: origins, home zones, zones that open and close; batches with departures, removed observers and events
const Version = 3

// The first words of a link (numbers are uvarint unless a size is given; a text is size and bytes):
//
//	attach    gateway, on both streams: version · number of the attach u64 LE · 1 on the stream of messages, 2 on that of batches · build
//	welcome   server, as the first record on the stream of messages: version · the five bounds · hello
//
// The version stands first for good, so that any two releases can tell each other theirs.
type attach struct {
	version uint64
	id      uint64
	stream  byte
	build   string
}

const (
	messages = 1
	batches  = 2
)

func (a *attach) append(b []byte) []byte {
	b = binary.AppendUvarint(b, a.version)
	b = binary.LittleEndian.AppendUint64(b, a.id)
	return appendText(append(b, a.stream), a.build)
}

// maxBuild bounds the name of a build, in bytes.
const maxBuild = 256

// parseAttach reads what a gateway says first; of another version it reads only the version.
func parseAttach(b []byte) (a attach, err error) {
	c := cursor{b: b}
	if a.version = c.uvarint("version", math.MaxUint64); a.version != Version {
		return a, c.err
	}
	a.id = c.u64("number of the attach")
	if a.stream = c.byte("stream"); a.stream != messages && a.stream != batches {
		c.fail("stream")
	}
	build := c.text("build")
	if len(build) > maxBuild {
		c.fail("build")
	}
	a.build = string(build)
	c.payload(0)
	return a, c.err
}

func (c *cursor) u64(what string) uint64 {
	if len(c.b) < 8 {
		c.fail(what)
		return 0
	}
	v := binary.LittleEndian.Uint64(c.b)
	c.b = c.b[8:]
	return v
}

func wrongVersion(who, other string, theirs uint64) string {
	return fmt.Sprintf("link: the %s speaks version %d of the link, this %s version %d: run a gateway and a server of the same release", other, theirs, who, Version)
}

// appendWelcome appends what a server answers.
func appendWelcome(b []byte, bounds *PipeConfig, h *Hello) []byte {
	b = binary.AppendUvarint(b, Version)
	for _, v := range []int{bounds.UpMessages, bounds.UpBytes, bounds.Batches, bounds.DownBytes, bounds.DownMessage} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return appendHello(b, h)
}

func parseWelcome(b []byte) (bounds PipeConfig, h Hello, err error) {
	c := cursor{b: b}
	if v := c.uvarint("version", math.MaxUint64); c.err == nil && v != Version {
		return bounds, h, fmt.Errorf("%s", wrongVersion("gateway", "server", v))
	}
	for _, v := range []*int{&bounds.UpMessages, &bounds.UpBytes, &bounds.Batches, &bounds.DownBytes, &bounds.DownMessage} {
		if *v = int(c.uvarint("bound", math.MaxInt32)); *v == 0 {
			c.fail("bound of 0")
		}
	}
	h = c.hello()
	c.payload(0)
	return bounds, h, c.err
}

// hello: gateway · game · schema 8 bytes · layout · descriptors · n · n × route · n · n × zone
//
//	route   id · name · kind u8 · direction u8 · states u8 · affinity u8 · most bytes · rate f64 · burst · cost · delivery u8 · idempotent u8 · message · reply
//	zone    id · epoch · position bits u8 · origin x · origin z · tick rate · quanta per metre f64 · width · height · enter radius · leave radius
//
// f64 is IEEE 754, LE. The two of an origin are zigzag (varint); what else is an int32 in a zone is not negative.
func appendHello(b []byte, h *Hello) []byte {
	b = binary.AppendUvarint(b, uint64(h.Gateway))
	b = appendText(b, h.Game)
	b = append(b, h.Schema[:]...)
	b = append(binary.AppendUvarint(b, uint64(len(h.Layout))), h.Layout...)
	b = append(binary.AppendUvarint(b, uint64(len(h.Descriptors))), h.Descriptors...)
	b = binary.AppendUvarint(b, uint64(len(h.Routes)))
	for i := range h.Routes {
		r := &h.Routes[i]
		b = binary.AppendUvarint(b, uint64(r.ID))
		b = appendText(b, r.Name)
		b = append(b, byte(r.Kind), byte(r.Direction), byte(r.States), byte(r.Affinity))
		b = binary.AppendUvarint(b, uint64(r.MaxBytes))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.Rate))
		b = binary.AppendUvarint(b, uint64(r.Burst))
		b = binary.AppendUvarint(b, uint64(r.Cost))
		idempotent := byte(0)
		if r.Idempotent {
			idempotent = 1
		}
		b = append(b, byte(r.Delivery), idempotent)
		b = appendText(appendText(b, r.Message), r.Reply)
	}
	b = binary.AppendUvarint(b, uint64(len(h.Zones)))
	for i := range h.Zones {
		b = AppendZone(b, &h.Zones[i])
	}
	return b
}

// AppendZone appends a zone: the payload of ZoneOpened.
func AppendZone(b []byte, z *Zone) []byte {
	b = binary.AppendUvarint(b, uint64(z.ID))
	b = binary.AppendUvarint(b, uint64(z.Epoch))
	b = append(b, z.Params.PositionBits)
	b = binary.AppendVarint(b, int64(z.Params.OriginX))
	b = binary.AppendVarint(b, int64(z.Params.OriginZ))
	b = binary.AppendUvarint(b, uint64(z.TickHz))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(z.QuantaPerMetre))
	for _, v := range [...]int32{z.Width, z.Height, z.EnterRadius, z.LeaveRadius, z.Margin} {
		b = binary.AppendUvarint(b, uint64(uint32(v)))
	}
	return b
}

// ParseZone reads what AppendZone wrote; an error wraps ErrMalformed.
func ParseZone(b []byte) (Zone, error) {
	c := cursor{b: b}
	z := c.zone()
	c.payload(0)
	return z, c.err
}

// routeSize and zoneSize are the least bytes of one: what a number of them is held against before anything is allocated.
const (
	routeSize = 21
	zoneSize  = 19
)

func (c *cursor) hello() (h Hello) {
	h.Gateway = uint32(c.uvarint("gateway", math.MaxUint32))
	h.Game = string(c.text("game"))
	h.Schema = protocol.FingerprintOf(c.u64("schema"))
	if layout := c.text("layout"); len(layout) > 0 {
		h.Layout = append([]byte(nil), layout...)
	}
	if d := c.text("descriptors"); len(d) > 0 {
		h.Descriptors = append([]byte(nil), d...)
	}
	if n := c.count("number of routes", routeSize); n > 0 {
		h.Routes = make([]protocol.Route, n)
	}
	for i := range h.Routes {
		h.Routes[i] = c.route()
	}
	if n := c.count("number of zones", zoneSize); n > 0 {
		h.Zones = make([]Zone, n)
	}
	for i := range h.Zones {
		h.Zones[i] = c.zone()
	}
	return h
}

func (c *cursor) route() protocol.Route {
	return protocol.Route{
		ID: uint16(c.uvarint("id of a route", math.MaxUint16)), Name: string(c.text("name of a route")),
		Kind: protocol.Kind(c.byte("kind of a route")), Direction: protocol.Direction(c.byte("direction of a route")),
		States: protocol.States(c.byte("states of a route")), Affinity: protocol.Affinity(c.byte("affinity of a route")),
		MaxBytes: int(c.uvarint("most bytes of a route", math.MaxInt32)), Rate: math.Float64frombits(c.u64("rate of a route")),
		Burst: uint32(c.uvarint("burst of a route", math.MaxUint32)), Cost: uint32(c.uvarint("cost of a route", math.MaxUint32)),
		Delivery: protocol.Delivery(c.byte("delivery of a route")), Idempotent: c.byte("idempotence of a route") != 0,
		Message: string(c.text("message of a route")), Reply: string(c.text("reply of a route")),
	}
}

func (c *cursor) zone() Zone {
	quanta := func(what string) int32 { return int32(c.uvarint(what, math.MaxInt32)) }
	origin := func() int32 {
		v, n := binary.Varint(c.b)
		if n <= 0 || v < math.MinInt32 || v > math.MaxInt32 {
			c.fail("origin of a zone")
			return 0
		}
		c.b = c.b[n:]
		return int32(v)
	}
	return Zone{
		ID: uint32(c.uvarint("id of a zone", math.MaxUint32)), Epoch: uint32(c.uvarint("epoch of a zone", math.MaxUint32)),
		Params: delta.Params{PositionBits: c.byte("position bits of a zone"), OriginX: origin(), OriginZ: origin()}, TickHz: uint32(c.uvarint("tick rate of a zone", math.MaxUint32)),
		QuantaPerMetre: math.Float64frombits(c.u64("quanta per metre of a zone")),
		Width:          quanta("width of a zone"), Height: quanta("height of a zone"), EnterRadius: quanta("enter radius of a zone"), LeaveRadius: quanta("leave radius of a zone"), Margin: quanta("margin of a zone"),
	}
}
