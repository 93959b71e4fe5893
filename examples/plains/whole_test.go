package plains

import (
	"bytes"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// life lets players do a bit of everything in a world that has everything, and returns the hash of every zone after every tick.
func life(t *testing.T, inputs func(z *game.Zone, in []game.Input), outputs func(z *game.Zone, out *game.Outputs)) (hashes []uint64) {
	w := open(t, Config{Walkers: 40, Wolves: 10, Coins: 40, Den: true})
	w.Inputs, w.Outputs = inputs, outputs
	c := []*gametest.Client{w.Join("anna"), w.Join("bo"), w.Join("carl"), w.Join("dora")}
	for tick := range uint32(400) {
		for i, x := range c {
			switch (int(tick) + 7*i) % 20 {
			case 3:
				x.Push(bind.RouteMove, &plainsv1.Move{Seq: tick + 1, Tick: tick + 2, Vx: int32(tick*31+uint32(i)*17)%100 - 50, Vz: int32(tick*13+uint32(i)*29)%100 - 50})
			case 9:
				speak(x, []string{"/join us", "hello", "/p hello", "/shout hello"}[int(tick/20)%4])
			case 12, 19:
				x.Request(bind.RouteAttack, &plainsv1.AttackRequest{Target: uint64(c[(i+1)%4].Avatar().ID()) + uint64(tick%60/20)*41})
			}
		}
		if tick%90 == 50 {
			c[3].Push(bind.RouteEnterDen, &plainsv1.EnterDen{})
		}
		w.Tick(1)
		for i := range w.Zones() {
			hashes = append(hashes, w.Zone(i).Hash())
		}
	}
	return hashes
}

func TestSameInputsSameLivingWorld(t *testing.T) {
	a, b := life(t, nil, nil), life(t, nil, nil)
	if len(a) != len(b) || len(a) < 800 {
		t.Fatalf("%d and %d hashes", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("the runs differ from hash %d on", i)
		}
	}
}

func TestARecordingReplays(t *testing.T) {
	g, cfg := New(Config{Walkers: 40, Wolves: 10, Coins: 40, Den: true}), zones(t)[0]
	var file bytes.Buffer
	var rec *record.Recorder
	var last []game.Input
	life(t, func(z *game.Zone, in []game.Input) {
		if z.Config().Zone != 1 {
			return
		}
		if last = in; rec == nil {
			var err error
			if rec, err = record.Start(&file, record.HeaderOf(g, z)); err != nil {
				t.Fatal(err)
			}
		}
	}, func(z *game.Zone, _ *game.Outputs) {
		if z.Config().Zone == 1 {
			rec.Tick(z, last)
		}
	})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := record.Replay(bytes.NewReader(file.Bytes()), g, record.Options{Zone: cfg})
	if err != nil || rep.Difference != nil || rep.Ticks != 400 {
		t.Errorf("%d ticks, %v, %v", rep.Ticks, rep.Difference, err)
	}
}

// TestTheGameIsSmall counts lines that hold code.
func TestTheGameIsSmall(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		set, lines := token.NewFileSet(), map[int]bool{}
		file := set.AddFile(name, -1, len(text))
		var s scanner.Scanner
		s.Init(file, text, nil, 0)
		for pos, kind, _ := s.Scan(); kind != token.EOF; pos, kind, _ = s.Scan() {
			lines[file.Line(pos)] = true
		}
		sum += len(lines)
	}
	if sum > 500 {
		t.Errorf("the game has %d lines of code, it is to be read in one go: at most 500", sum)
	}
}
