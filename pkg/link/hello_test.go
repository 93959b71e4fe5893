package link

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestOtherVersionsAreRefusedByName(t *testing.T) {
	b := (&attach{version: 7, id: 1, stream: messages}).append(nil)
	a, err := parseAttach(b[:1]) // whatever follows in that version
	if err != nil || a.version != 7 {
		t.Fatalf("%+v, %v", a, err)
	}
	if text := wrongVersion("server", "gateway", a.version); !strings.Contains(text, "gateway speaks version 7") || !strings.Contains(text, "this server version 3") {
		t.Error(text)
	}
	var bounds PipeConfig
	bounds.validate()
	w := appendWelcome(nil, &bounds, &Hello{})
	w[0] = 9
	if _, _, err := parseWelcome(w[:1]); err == nil || !strings.Contains(err.Error(), "server speaks version 9") || !strings.Contains(err.Error(), "this gateway version 3") {
		t.Error(err)
	}
}

func TestAttachAndWelcomeComeBack(t *testing.T) {
	want := attach{version: Version, id: 1<<63 + 5, stream: batches, build: "v0.3.1"}
	if got, err := parseAttach(want.append(nil)); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	bounds := PipeConfig{UpMessages: 1, UpBytes: 2, Batches: 3, DownBytes: 4, DownMessage: 5}
	h := sampleHello()
	b := appendWelcome(nil, &bounds, &h)
	gotBounds, got, err := parseWelcome(b)
	if err != nil || gotBounds != bounds || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v", gotBounds, err)
	}
	for n := 0; n < len(b); n += 1 + n/50 {
		if _, _, err := parseWelcome(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, _, err := parseWelcome(append(b, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("with a byte too many: %v", err)
	}
}

func FuzzParseAttach(f *testing.F) {
	f.Add((&attach{version: Version, id: 5, stream: messages, build: "x"}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAttach(b)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if err == nil && a.version == Version {
			if again, err := parseAttach(a.append(nil)); err != nil || again != a {
				t.Fatalf("%+v became %+v, %v", a, again, err)
			}
		}
	})
}

func TestZoneComesBackAndDamageIsRefused(t *testing.T) {
	for _, z := range sampleHello().Zones {
		b := AppendZone(nil, &z)
		if got, err := ParseZone(b); err != nil || got != z {
			t.Errorf("%+v became %+v, %v", z, got, err)
		}
		for n := range b {
			if _, err := ParseZone(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := ParseZone(append(b, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("with a byte too many: %v", err)
		}
	}
}

func FuzzParseZone(f *testing.F) {
	for _, z := range sampleHello().Zones {
		f.Add(AppendZone(nil, &z))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := ParseZone(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseZone(AppendZone(nil, &z)); err != nil || again != z && z.QuantaPerMetre == z.QuantaPerMetre { // not a NaN
			t.Fatalf("%+v became %+v, %v", z, again, err)
		}
	})
}

func FuzzParseWelcome(f *testing.F) {
	bounds := PipeConfig{UpMessages: 1, UpBytes: 2, Batches: 3, DownBytes: 4, DownMessage: 5}
	h := sampleHello()
	h.Layout, h.Routes = h.Layout[:10], h.Routes[:7]
	f.Add(appendWelcome(nil, &bounds, &h))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds, h, err := parseWelcome(b)
		if err != nil {
			return
		}
		if len(h.Routes)*routeSize+len(h.Zones)*zoneSize > len(b) {
			t.Fatalf("%d routes and %d zones out of %d bytes", len(h.Routes), len(h.Zones), len(b))
		}
		again := appendWelcome(nil, &bounds, &h)
		if _, _, err := parseWelcome(again); err != nil {
			t.Fatal(err)
		}
	})
}
