package gateway

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func sampleAddresses(t testing.TB, change func(*AddressLimits)) *addresses {
	t.Helper()
	l := AddressLimits{Handshakes: 10, Burst: 20, HalfOpen: 5, Open: 8, Hold: 10 * time.Second}
	if change != nil {
		change(&l)
	}
	if err := l.validate(100); err != nil {
		t.Fatal(err)
	}
	return newAddresses(l)
}

func reasonOf(d *denial) string {
	if d == nil {
		return ""
	}
	return d.reason
}

func TestAddressMayConnectUntilABoundIsReached(t *testing.T) {
	a := sampleAddresses(t, nil)
	from := netip.MustParseAddr("192.0.2.7")
	var refs []addressRef
	for i := range 9 {
		ref, why := a.enter(from, 0)
		if i == 8 {
			if reasonOf(why) != "refused_address_full" || why.retryAfter() != 5 {
				t.Errorf("connection 9: %+v", why)
			}
			break
		}
		if why != nil {
			t.Fatalf("connection %d: %v", i+1, why.reason)
		}
		if refs = append(refs, ref); i < 5 {
			a.secured(ref)
		}
	}
	for range 2 {
		a.leave(refs[0], true)
		refs = refs[1:]
	}
	// Six are open, three of them in their handshake.
	for i, want := range []string{"", "", "refused_address_full"} {
		if _, why := a.enter(from, 0); reasonOf(why) != want {
			t.Errorf("connection %d: %q, want %q", i, reasonOf(why), want)
		}
	}
}

func TestAddressMayNotLeaveHandshakesUnfinished(t *testing.T) {
	a := sampleAddresses(t, nil)
	from := netip.MustParseAddr("192.0.2.7")
	var last addressRef
	for range 5 {
		last, _ = a.enter(from, 0)
	}
	if _, why := a.enter(from, 0); reasonOf(why) != "refused_half_open" || why.retryAfter() != 1 {
		t.Errorf("the sixth: %+v", why)
	}
	if _, why := a.enter(netip.MustParseAddr("192.0.2.8"), 0); why != nil {
		t.Errorf("a neighbour: %v", why.reason)
	}
	a.leave(last, false)
	if _, why := a.enter(from, 0); why != nil {
		t.Errorf("after one has gone: %v", why.reason)
	}
}

func TestAddressHandshakesHaveARate(t *testing.T) {
	a := sampleAddresses(t, nil)
	from := netip.MustParseAddr("2001:db8::1")
	try := func(now time.Duration) *denial {
		ref, why := a.enter(from, now)
		if why == nil {
			a.secured(ref)
			a.leave(ref, true)
		}
		return why
	}
	for i := range 20 {
		if why := try(time.Second); why != nil {
			t.Fatalf("connection %d: %v", i, why.reason)
		}
	}
	why := try(time.Second)
	if reasonOf(why) != "refused_handshake_rate" || why.wait != 100*time.Millisecond || why.retryAfter() != 1 {
		t.Errorf("beyond the burst: %+v", why)
	}
	if why := try(time.Second + 100*time.Millisecond); why != nil {
		t.Errorf("100 ms later: %v", why.reason)
	}
}

func TestAddressIsHeldAfterAFlood(t *testing.T) {
	a := sampleAddresses(t, nil)
	from := netip.MustParseAddr("192.0.2.7")
	ref, _ := a.enter(from, 0)
	a.secured(ref)
	a.hold(from, time.Second)
	a.leave(ref, true)
	a.hold(netip.MustParseAddr("192.0.2.9"), time.Second) // unheard of
	if _, why := a.enter(from, 3500*time.Millisecond); reasonOf(why) != "refused_held" || why.retryAfter() != 8 {
		t.Errorf("while held: %+v", why)
	}
	if _, why := a.enter(netip.MustParseAddr("192.0.2.9"), 3500*time.Millisecond); reasonOf(why) != "refused_held" {
		t.Errorf("while held: %+v", why)
	}
	if _, why := a.enter(from, 11*time.Second); why != nil {
		t.Errorf("after the hold: %v", why.reason)
	}
}

func TestAddressesAreToldApartByPrefix(t *testing.T) {
	for _, c := range []struct {
		v4, v6 int
		a, b   string
		same   bool
	}{
		{0, 0, "192.0.2.7", "192.0.2.8", false},
		{0, 0, "192.0.2.7", "::ffff:192.0.2.7", true},
		{24, 0, "192.0.2.7", "192.0.2.200", true},
		{24, 0, "192.0.2.7", "192.0.3.7", false},
		{0, 0, "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{0, 0, "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{0, 128, "2001:db8:0:1::1", "2001:db8:0:1::2", false},
		{0, 0, "fe80::1%eth0", "fe80::2%eth1", true},
	} {
		a := sampleAddresses(t, func(l *AddressLimits) { l.V4Bits, l.V6Bits = c.v4, c.v6 })
		first, _ := a.enter(netip.MustParseAddr(c.a), 0)
		second, _ := a.enter(netip.MustParseAddr(c.b), 0)
		if (first == second) != c.same {
			t.Errorf("/%d and /%d: %s and %s are the same: %v, want %v", a.limits.V4Bits, a.limits.V6Bits, c.a, c.b, first == second, c.same)
		}
	}
}

func TestSomeAddressesAreNotBounded(t *testing.T) {
	exempt := func(l *AddressLimits) { l.Exempt = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }
	counted := func(l *AddressLimits) { l.Loopback = true }
	for _, c := range []struct {
		name    string
		addr    netip.Addr
		change  func(*AddressLimits)
		bounded bool
	}{
		{"loopback", netip.MustParseAddr("127.0.0.1"), nil, false},
		{"loopback", netip.MustParseAddr("::1"), nil, false},
		{"mapped loopback", netip.MustParseAddr("::ffff:127.0.0.1"), nil, false},
		{"loopback that counts", netip.MustParseAddr("127.0.0.1"), counted, true},
		{"unknown", netip.Addr{}, nil, false},
		{"exempt", netip.MustParseAddr("203.0.113.9"), exempt, false},
		{"its neighbour", netip.MustParseAddr("203.0.114.9"), exempt, true},
	} {
		a := sampleAddresses(t, c.change)
		refused := 0
		for range 10_000 { // bots, in no time at all
			ref, why := a.enter(c.addr, 0)
			if why != nil {
				refused++
				continue
			}
			a.secured(ref)
			a.leave(ref, true)
		}
		a.hold(c.addr, 0)
		if _, why := a.enter(c.addr, 0); (why != nil) != c.bounded || (refused > 0) != c.bounded {
			t.Errorf("%s: %d refused, then %q; bounded should be %v", c.name, refused, reasonOf(why), c.bounded)
		}
	}
}

// host is the i-th of many addresses.
func host(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0x0A000000+i)
	return netip.AddrFrom4(b)
}

func TestAddressTableIsBoundedAndKeepsWhoIsConnected(t *testing.T) {
	a := sampleAddresses(t, func(l *AddressLimits) { l.Entries = 200 })
	var open []addressRef
	for i := range uint32(100) {
		ref, why := a.enter(host(i), 0)
		if why != nil {
			t.Fatal(why.reason)
		}
		open = append(open, ref)
	}
	for i := range uint32(10_000) { // each holds a place: its bucket is not full yet
		ref, why := a.enter(host(1000+i), 0)
		if why != nil {
			t.Fatalf("address %d: %v", i, why.reason)
		}
		a.leave(ref, false)
	}
	if n := a.len(); n != 200 || len(a.slots) != 201 {
		t.Errorf("%d addresses in %d slots, want 200", n, len(a.slots)-1)
	}
	for i := range uint32(100) {
		if ref, why := a.enter(host(i), 0); ref != open[i] {
			t.Fatalf("connected address %d was forgotten: %d %v", i, ref, reasonOf(why))
		}
	}
}

func TestAddressTableForgetsWhatIsOver(t *testing.T) {
	a := sampleAddresses(t, nil)
	for i := range uint32(1000) {
		ref, _ := a.enter(host(i), 0)
		a.leave(ref, false)
	}
	a.hold(host(0), 0)
	if n := a.len(); n != 1000 {
		t.Fatalf("%d addresses at once, want 1000", n)
	}
	for range 600 {
		ref, _ := a.enter(host(5000), time.Minute)
		a.leave(ref, true)
		a.slots[ref].half = 0
	}
	if n := a.len(); n > 2 {
		t.Errorf("%d addresses a minute later, want 1", n)
	}
}

func TestFullAddressTableRefuses(t *testing.T) {
	a := newAddresses(AddressLimits{Handshakes: 10, Burst: 20, HalfOpen: 5, Open: 8, V4Bits: 32, V6Bits: 64, Entries: 3})
	for i := range uint32(4) {
		if _, why := a.enter(host(i), 0); (why != nil) != (i == 3) {
			t.Errorf("address %d of a table for 3: %q", i, reasonOf(why))
		}
	}
	a.hold(host(9), 0) // finds no place and does no harm
}

// plainAddress is what the table knows of an address, without a table.
type plainAddress struct {
	credit     float64
	last, held time.Duration
	open, half int
}

func TestAddressTableAgreesWithAPlainMap(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		a, plain, now := sampleAddresses(t, nil), map[netip.Addr]*plainAddress{}, time.Duration(0)
		type connection struct {
			ref     addressRef
			addr    netip.Addr
			secured bool
		}
		var open []connection
		for i := range 5000 {
			now += time.Duration(r.IntN(40)) * time.Millisecond
			addr := host(r.Uint32N(12))
			p := plain[addr]
			if p == nil {
				p = &plainAddress{credit: 20}
				plain[addr] = p
			}
			switch op := r.IntN(10); {
			case op < 5:
				p.credit = min(20, p.credit+(now-p.last).Seconds()*10)
				p.last = now
				ref, why := a.enter(addr, now)
				want := ""
				switch {
				case p.held > now:
					want = "refused_held"
				case p.open >= 8:
					want = "refused_address_full"
				case p.half >= 5:
					want = "refused_half_open"
				case p.credit < 1-1e-6:
					want = "refused_handshake_rate"
				}
				if got := reasonOf(why); got != want {
					t.Fatalf("seed %d, step %d, %v at %v: %q, want %q; %+v", seed, i, addr, now, got, want, *p)
				}
				if want == "" {
					p.credit--
					p.open++
					p.half++
					open = append(open, connection{ref, addr, false})
				}
			case op < 9 && len(open) > 0:
				k := r.IntN(len(open))
				c := &open[k]
				if p = plain[c.addr]; !c.secured && r.IntN(2) == 0 {
					a.secured(c.ref)
					c.secured = true
					p.half--
					break
				}
				a.leave(c.ref, c.secured)
				if p.open--; !c.secured {
					p.half--
				}
				open = append(open[:k], open[k+1:]...)
			case op == 9 && r.IntN(30) == 0:
				a.hold(addr, now)
				p.held = now + 10*time.Second
			}
		}
	}
}

func TestAddressesMayBeUsedByMany(t *testing.T) {
	a := sampleAddresses(t, func(l *AddressLimits) { l.Entries = 150 })
	var wg sync.WaitGroup
	for g := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(2000) {
				addr := host((g*7919 + i*31) % 400)
				ref, why := a.enter(addr, time.Duration(i)*time.Millisecond)
				if why != nil {
					continue
				}
				if i%3 == 0 {
					a.secured(ref)
				}
				if i%50 == 0 {
					a.hold(addr, time.Duration(i)*time.Millisecond)
				}
				a.leave(ref, i%3 == 0)
			}
		})
	}
	wg.Wait()
	idle := 0
	for ref := a.slots[0].next; ref != 0; ref = a.slots[ref].next {
		if e := a.slots[ref]; e.open != 0 || e.half != 0 {
			t.Fatalf("an address is left with %d open, %d half open", e.open, e.half)
		}
		idle++
	}
	if idle != a.len() {
		t.Errorf("%d of %d addresses are idle at the end", idle, a.len())
	}
}
