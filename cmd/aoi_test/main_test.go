package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// command runs aoi_test on this machine.
func command(args ...string) (code int, out, faults string) {
	return commandOn(aoi.Kernels(), args...)
}

// commandOn runs it on a machine with these kernels.
func commandOn(have []aoi.Kernel, args ...string) (code int, out, faults string) {
	var o, e bytes.Buffer
	code = run(args, have, console{&o, &e})
	return code, o.String(), e.String()
}

func TestEveryWorkloadEqualsBruteForce(t *testing.T) { everyWorkloadEqualsBruteForce(t, "250", "12") }

func everyWorkloadEqualsBruteForce(t *testing.T, entities, ticks string) {
	args := []string{"-verify", "-entities", entities, "-ticks", ticks}
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	code, out, faults := command(append(args, "-workload", strings.Join(names, ","))...)
	if code != exitOK || faults != "" || strings.Count(out, "PASS") != len(names)+1 {
		t.Errorf("exit code %d\n%s%s", code, out, faults)
	}
}

func TestBenchmarkMeasuresEverything(t *testing.T) {
	wanted := "" // all but the extra ones
	if testing.Short() || raced {
		wanted = "walk-100k,crowd-5k,flash-5k"
	}
	code, out, faults := command("-json", "-entities", "300", "-ticks", "12", "-kernel", "all", "-runs", "2", "-workload", wanted)
	if code != exitOK || faults != "" || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit code %d\n%s%s", code, out, faults)
	}
	var got summary
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	have := aoi.Kernels()
	chosen, err := choose(split(wanted))
	if err != nil || len(got.Workloads) != len(chosen)*len(have) || len(chosen) != 9 && wanted == "" {
		t.Fatalf("%d workloads, %v", len(got.Workloads), err)
	}
	if got.CPU == "" || got.Kernel != have[len(have)-1].String() || got.Verify.Ops == 0 || got.Verify.Divergences != 0 {
		t.Errorf("%+v", got)
	}
	for i, w := range got.Workloads {
		if w.Name != chosen[i/len(have)].name || w.Entities != 300 || w.Observers != 300 || w.Ticks != 12 || w.Clock == "" {
			t.Errorf("%+v", w)
		}
		if w.Workers != chosen[i/len(have)].workers {
			t.Errorf("%s by %d workers", w.Name, w.Workers)
		}
		if !(w.Visible > 1 && w.NS > 0 && w.NSMin <= w.NS && w.NS <= w.NSMax && w.WorstTick >= w.MeanTick && w.Events > 0 && w.Bytes > 0 && w.Allocs >= 0) {
			t.Errorf("%+v", w)
		}
		if !(w.BaselineTicks >= 2 && w.Baseline > 0 && w.RatioMin > 0 && w.RatioMin <= w.RatioMax) {
			t.Errorf("the grid of %+v", w)
		}
	}
	for _, key := range []string{`"ns_per_entity_tick":`, `"worst_tick_ms":`, `"events_per_tick":`, `"bytes_per_entity":`, `"allocs_per_tick":`, `"baseline_ns_per_entity_tick":`, `"verify":{"ops":`} {
		if !strings.Contains(out, key) {
			t.Errorf("no %s in %s", key, out)
		}
	}
}

func TestOneKernelAndSomeTimeCanBeNamed(t *testing.T) {
	code, out, faults := command("-workload", "walk-1k, million", "-entities", "300", "-time", "5ms", "-kernel", "portable", "-workers", "2", "-baseline=false")
	if code != exitOK || strings.Contains(out, "grid") || !strings.Contains(out, "kernel portable") || !strings.Contains(out, "wall time of 2 workers") ||
		strings.Count(faults, " done\n") != 2 {
		t.Errorf("exit code %d\n%s%s", code, out, faults)
	}
}

func TestVerdictOfVerifyIsJSONToo(t *testing.T) {
	code, out, faults := command("-verify", "-json", "-workload", "crowd-5k", "-entities", "200", "-ticks", "5", "-workers", "1")
	var got summary
	err := json.Unmarshal([]byte(out), &got)
	if want := int64(len(aoi.Kernels())) * (200 + 6*201); code != exitOK || faults != "" || err != nil || got.Verify.Ops != want {
		t.Errorf("exit code %d, %v, want %d operations\n%s%s", code, err, want, out, faults)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere", "a.png")
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"walk-1k", exitUsage, "everything is a flag, such as -workload walk-1k"},
		{"-wrkload walk-1k", exitUsage, "not defined: -wrkload (did you mean -workload?)"},
		{"-workload wlak-10k", exitUsage, `there is no "wlak-10k" (did you mean walk-10k?); there is walk-1k, walk-10k`},
		{"-workload flash", exitUsage, "(did you mean flash-5k?)"},
		{"-workload 12345678", exitUsage, `there is no "12345678"; there is walk-1k`},
		{"-workload walk-1k,walk-1k", exitUsage, "names walk-1k twice"},
		{"-kernel avx3", exitUsage, `there is no "avx3" (did you mean avx2?)`},
		{"-kernel neon", exitUsage, "need one of auto, all, portable, avx2, avx512"},
		{"-workers 0", exitUsage, "-workers 0: need 1 to 64"},
		{"-entities 7", exitUsage, "need 100 to 1000000"},
		{"-ticks 0", exitUsage, "-ticks 0: need 1 to"},
		{"-ticks 3 -time 1s", exitUsage, "-ticks and -time exclude each other"},
		{"-time 2h", exitUsage, "need 1ms to 1h"},
		{"-time soon", exitUsage, `invalid value "soon" for flag -time`},
		{"-runs 0", exitUsage, "-runs 0: need 1 to 1000"},
		{"-verify -runs 3", exitUsage, "-verify and -runs exclude each other"},
		{"-verify -list", exitUsage, "-list and -verify exclude each other"},
		{"-png a.png -json", exitUsage, "-png and -json exclude each other"},
		{"-png a.png -workload walk-1k,walk-10k", exitUsage, "-png draws one workload, not 2"},
		{"-workload walk-1k -entities 100 -ticks 1 -png " + missing, exitFailed, "draw walk-1k: open " + missing},
	} {
		code, out, faults := command(strings.Fields(test.args)...)
		if code != test.code || out != "" || !strings.Contains(faults, test.says) || strings.Contains(faults, "%!") || strings.Count(faults, "\n") > 2 {
			t.Errorf("%s: exit code %d, want %d\n%s%swant %q", test.args, code, test.code, out, faults, test.says)
		}
	}
	if code, out, help := command("-h"); code != exitOK || out != "" || !strings.Contains(help, "usage: aoi_test [flags]") || !strings.Contains(help, "-verify") {
		t.Errorf("-h: exit code %d\n%s%s", code, out, help)
	}
}

func TestKernelsAreThoseOfTheMachine(t *testing.T) {
	poor, rich := []aoi.Kernel{aoi.Portable}, []aoi.Kernel{aoi.Portable, aoi.AVX2, aoi.AVX512}
	for _, test := range []struct {
		name string
		have []aoi.Kernel
		want string
	}{
		{"auto", poor, "portable"}, {"auto", rich, "avx512"}, {"all", rich, "avx512, avx2, portable"}, {"avx2", rich, "avx2"}, {"all", rich[:2], "avx2, portable"},
	} {
		if got, err := kernels(test.name, test.have); err != nil || names(got) != test.want {
			t.Errorf("%s of %v: %v, %v", test.name, test.have, got, err)
		}
	}
	code, _, faults := commandOn(poor, "-kernel", "avx512", "-workload", "walk-1k")
	if code != exitUsage || !strings.Contains(faults, "has not got it, it has portable\n") {
		t.Errorf("exit code %d: %s", code, faults)
	}
	o, err := parse(nil, rich, console{})
	if err != nil || names(o.kernels) != "avx512" || names(o.verified) != "avx512, avx2, portable" {
		t.Errorf("without a flag: %v", err)
	}
}

func TestPictureHasWhatItPromises(t *testing.T) {
	path := filepath.Join(t.TempDir(), "town.png")
	code, out, faults := command("-png", path, "-entities", "2000", "-ticks", "10")
	if code != exitOK || faults != "" || !strings.HasPrefix(out, path+": town-10k after 10 ticks, entity ") {
		t.Fatalf("exit code %d\n%s%s", code, out, faults)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil || m.Bounds().Dx() != pictureSide || m.Bounds().Dy() != pictureSide {
		t.Fatalf("%v, %v", m.Bounds(), err)
	}
	p := palette()
	for name, want := range map[string]ink{"visible": p.seen, "circle": p.circle, "text": p.text} {
		n := 0
		for y := range pictureSide {
			for x := range pictureSide {
				if r, g, b, _ := m.At(x, y).RGBA(); near(r, want.r) && near(g, want.g) && near(b, want.b) {
					n++
				}
			}
		}
		if n < 100 {
			t.Errorf("%d pixels of %s", n, name)
		}
	}
}

func near(have uint32, want uint8) bool {
	return max(have>>8, uint32(want))-min(have>>8, uint32(want)) < 16
}

func TestEveryLetterHasAShape(t *testing.T) {
	for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-/:·" {
		if lines, width := strokes(letter); len(lines) == 0 || width > 5.5 {
			t.Errorf("%q has %d lines and is %v wide", letter, len(lines), width)
		}
	}
	if one, two := long(6, "I"), long(6, "II"); one != 0 || two != gap {
		t.Errorf("I is %v long, II %v", one, two)
	}
}

func TestFiguresAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.12", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 12345.6: "12,346", 1e9: "1,000,000,000", -12345: "-12,345"} {
		if got := short(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	s := spreadOf([]sample{{visible: 3}, {visible: 1}, {visible: 2}, {visible: 10}}, func(s sample) float64 { return s.visible })
	if s != (spread{2.5, 1, 10}) {
		t.Errorf("%v", s)
	}
	if got := fmt.Sprint(plural(1, "entity", "entities"), plural(2, "entity", "entities"), plural(1000, "tick")); got != "1 entity2 entities1,000 ticks" {
		t.Error(got)
	}
	half := sample{times: []time.Duration{10, 20, 30}, baseline: []time.Duration{100, 300, 500}, compared: []int{0, 2, 7}}
	if got := half.ratio(); got != 10 { // (100 + 300) / (10 + 30): the grid made tick 7, the engine did not
		t.Errorf("ratio %v", got)
	}
}
