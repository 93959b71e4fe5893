package gateway

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// This file bounds what comes from one client address. An end of length-prefixed TCP has no status to answer a denial with: it is closed.

// AddressLimits bounds what comes from one client address. Behind a proxy that is not among Network.Trusted all clients have its address: name the proxy there. Many players may share
// an address, in a café, behind a carrier; and all of them come back at one moment after a restart: the defaults let some hundreds. The zero value is the default of each field.
type AddressLimits struct {
	Handshakes float64        // connections per second that an address may open for long; default 50
	Burst      int            // and at once; default 300
	HalfOpen   int            // open connections of an address that have not finished their handshake; default 200
	Open       int            // open connections of an address; default 1,000
	Hold       time.Duration  // for which an address is refused after a session of it was kicked for flooding; default 10 s
	V4Bits     int            // how many leading bits of an IPv4 address tell it from others; default 32
	V6Bits     int            // and of an IPv6 address; default 64, what one subscriber is given at least
	Entries    int            // addresses that are remembered, above Config.MaxConnections; default 65,536 or twice MaxConnections. Some 100 bytes each
	Loopback   bool           // loopback addresses are bounded too; by default they are not: bots, tests and health checks come from there
	Exempt     []netip.Prefix // and neither are these
}

// validate fills in the defaults. maxConnections is Config.MaxConnections, checked.
func (l *AddressLimits) validate(maxConnections int) error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if l.Handshakes == 0 {
		l.Handshakes = 50
	}
	if l.Hold == 0 {
		l.Hold = 10 * time.Second
	}
	def(&l.Burst, 300)
	def(&l.HalfOpen, 200)
	def(&l.Open, 1000)
	def(&l.V4Bits, 32)
	def(&l.V6Bits, 64)
	def(&l.Entries, max(1<<16, 2*maxConnections))
	switch {
	case !(l.Handshakes > 0 && l.Handshakes <= 1e6) || l.Burst < 1 || l.Burst > maxRate || l.HalfOpen < 1 || l.Open < 1 || l.Hold < 0:
		return fmt.Errorf("gateway: Limits.Addresses with Handshakes %v, Burst %d, HalfOpen %d, Open %d and Hold %v: all must be positive, and Handshakes at most 1e6", l.Handshakes, l.Burst, l.HalfOpen, l.Open, l.Hold)
	case l.V4Bits < 1 || l.V4Bits > 32 || l.V6Bits < 1 || l.V6Bits > 128:
		return fmt.Errorf("gateway: Limits.Addresses.V4Bits %d and V6Bits %d: need 1-32 and 1-128", l.V4Bits, l.V6Bits)
	case l.Entries <= maxConnections || l.Entries > 1<<24:
		return fmt.Errorf("gateway: Limits.Addresses.Entries is %d: need more than MaxConnections, %d, each of which may have its own address, and at most %d", l.Entries, maxConnections, 1<<24)
	}
	for _, p := range l.Exempt {
		if !p.IsValid() {
			return fmt.Errorf("gateway: Limits.Addresses.Exempt holds an invalid prefix: %v", p)
		}
	}
	return nil
}

// addressRef stands for an address with open connections, between enter and leave. The zero value is one that is not bounded.
type addressRef uint32

// denial is why an address may not connect now, and after how long it may ask again.
type denial struct {
	reason string // counted under
	text   string
	wait   time.Duration
}

// retryAfter is the header's value: whole seconds, at least 1.
func (d *denial) retryAfter() int {
	return max(1, int((d.wait+time.Second-1)/time.Second))
}

// addresses remembers what the gateway's clients did, by address. Addresses with open connections stay; of the others the least recently seen go when their bucket is full again
// and their hold over, or when there is no room. Every method takes constant time, amortised, and may be called from any goroutine. No goroutine of its own.
type addresses struct {
	limits     AddressLimits
	handshakes rate

	mu    sync.Mutex
	index map[addressKey]addressRef
	slots []address // 0 is unused; idle ones are linked from slots[0], the least recently seen next to it
	free  addressRef
}

// addressKey is a masked address in 16 bytes, IPv4 as the IPv6 address that it maps to.
type addressKey [16]byte

type address struct {
	key        addressKey
	tokens     meter         // of handshakes
	held       time.Duration // until then it is refused
	open, half int32         // connections, and those of them that are in their handshake
	prev, next addressRef    // of idle ones; next alone of free slots
}

// newAddresses: limits are validated.
func newAddresses(limits AddressLimits) *addresses {
	return &addresses{limits: limits, handshakes: newRate(limits.Handshakes, limits.Burst), index: map[addressKey]addressRef{}, slots: make([]address, 1)}
}

// enter asks for a connection from addr. now is monotonic. An address that is not known, as over a pipe, is not bounded.
func (a *addresses) enter(addr netip.Addr, now time.Duration) (addressRef, *denial) {
	key, bounded := a.key(addr)
	if !bounded {
		return 0, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire(now)
	ref := a.lookup(key, now)
	if ref == 0 { // every slot has open connections: cannot be while Entries is above MaxConnections
		return 0, &denial{"refused_address_table", "too many addresses; try again later", 5 * time.Second}
	}
	e := &a.slots[ref]
	paid := e.tokens.after(a.handshakes.cost(1), now)
	why := (*denial)(nil)
	switch {
	case e.held > now:
		why = &denial{"refused_held", "this address sent too much; try again later", e.held - now}
	case int(e.open) >= a.limits.Open:
		why = &denial{"refused_address_full", "too many connections from this address", 5 * time.Second}
	case int(e.half) >= a.limits.HalfOpen:
		why = &denial{"refused_half_open", "too many unfinished handshakes from this address", time.Second}
	case paid > now+a.handshakes.burst:
		why = &denial{"refused_handshake_rate", "too many connections from this address at once", paid - now - a.handshakes.burst}
	}
	if why != nil {
		if e.open == 0 {
			a.idle(ref)
		}
		return 0, why
	}
	e.tokens = meter(paid)
	e.open++
	e.half++
	return ref, nil
}

// secured says that a connection has finished its handshake. Once between enter and leave.
func (a *addresses) secured(ref addressRef) {
	if ref == 0 {
		return
	}
	a.mu.Lock()
	a.slots[ref].half--
	a.mu.Unlock()
}

// leave ends what enter began; secured is whether the handshake was finished.
func (a *addresses) leave(ref addressRef, secured bool) {
	if ref == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &a.slots[ref]
	if e.open--; !secured {
		e.half--
	}
	if e.open == 0 {
		a.idle(ref)
	}
}

// hold refuses an address for a time; those connected stay.
func (a *addresses) hold(addr netip.Addr, now time.Duration) {
	key, bounded := a.key(addr)
	if !bounded {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ref := a.lookup(key, now)
	if ref == 0 {
		return
	}
	e := &a.slots[ref]
	e.held = now + a.limits.Hold
	if e.open == 0 {
		a.idle(ref)
	}
}

// len is how many addresses are remembered.
func (a *addresses) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.index)
}

// key tells under which key an address stands, if it is bounded.
func (a *addresses) key(addr netip.Addr) (key addressKey, bounded bool) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() && !a.limits.Loopback {
		return key, false
	}
	for _, p := range a.limits.Exempt {
		if p.Contains(addr) {
			return key, false
		}
	}
	bits := a.limits.V6Bits
	if addr.Is4() {
		bits = a.limits.V4Bits
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return key, false // cannot be: bits are in range
	}
	return p.Addr().As16(), true
}

// lookup finds or makes the slot of a key, and takes it off the list of idle ones. It returns 0 if every slot is taken.
func (a *addresses) lookup(key addressKey, now time.Duration) addressRef {
	ref := a.index[key]
	if ref != 0 {
		if a.slots[ref].open == 0 {
			a.unlink(ref)
		}
		return ref
	}
	switch {
	case a.free != 0:
		ref = a.free
		a.free = a.slots[ref].next
	case len(a.slots) <= a.limits.Entries:
		a.slots = append(a.slots, address{})
		ref = addressRef(len(a.slots) - 1)
	case a.slots[0].next != 0:
		ref = a.slots[0].next
		a.unlink(ref)
		delete(a.index, a.slots[ref].key)
	default:
		return 0
	}
	a.slots[ref] = address{key: key, tokens: meter(now)}
	a.index[key] = ref
	return ref
}

// expire forgets up to two idle addresses of which there is nothing to remember, so that the table shrinks faster than it grows.
func (a *addresses) expire(now time.Duration) {
	for range 2 {
		ref := a.slots[0].next
		if ref == 0 || a.slots[ref].held > now || time.Duration(a.slots[ref].tokens) > now {
			return
		}
		a.unlink(ref)
		delete(a.index, a.slots[ref].key)
		a.slots[ref] = address{next: a.free}
		a.free = ref
	}
}

// idle puts a slot at the end of the list: the most recently seen.
func (a *addresses) idle(ref addressRef) {
	e, head := &a.slots[ref], &a.slots[0]
	e.prev, e.next = head.prev, 0
	a.slots[head.prev].next = ref
	head.prev = ref
}

func (a *addresses) unlink(ref addressRef) {
	e := &a.slots[ref]
	a.slots[e.prev].next = e.next
	a.slots[e.next].prev = e.prev
	e.prev, e.next = 0, 0
}
