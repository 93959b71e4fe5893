package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the processes that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(run(context.Background(), os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr}))
	}
	os.Exit(m.Run())
}

// command runs the command line and returns what it printed.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, console{strings.NewReader(""), &stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

func TestEveryFeature(t *testing.T) {
	for _, f := range features() {
		t.Run(f.name, func(t *testing.T) {
			want := "PASS"
			if f.linux && runtime.GOOS != "linux" {
				want = "SKIP"
			}
			if r := perform(t.Context(), f); r.Result != want {
				t.Errorf("%s, want %s: %s", r.Result, want, r.Shown)
			}
		})
	}
}

func TestServerAndClientConverse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "echo.sock")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, said := io.Pipe()
	served := make(chan int, 1)
	go func() {
		served <- run(ctx, []string{"-mode=server", "-endpoint=" + path}, console{strings.NewReader(""), said, io.Discard})
		said.Close()
	}()
	greeting := make([]byte, 1024)
	n, err := out.Read(greeting)
	if err != nil || !strings.Contains(string(greeting[:n]), "serving rpctest.v1.Echo at unix://"+path) {
		t.Fatalf("the server says %q: %v", greeting[:n], err)
	}
	rest := make(chan string)
	go func() {
		b, _ := io.ReadAll(out) // ends with the server
		rest <- string(b)
	}()
	code, talk, errs := command(t, "-mode=client", "-endpoint="+path)
	if code != exitOK {
		t.Errorf("the client's exit code is %d: %s", code, errs)
	}
	for _, want := range []string{"connected", "hello", "10000 came", "PERMISSION_DENIED", "DEADLINE_EXCEEDED"} {
		if !strings.Contains(talk, want) {
			t.Errorf("the client does not say %q:\n%s", want, talk)
		}
	}
	cancel()
	if code := <-served; code != exitOK {
		t.Errorf("the server's exit code is %d", code)
	}
	if text := <-rest; !strings.Contains(text, "drained and closed") {
		t.Errorf("the server ends with %q", text)
	}
}

func TestAClientWithoutAServerSaysWhatToStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nobody.sock")
	code, _, errs := command(t, "-mode=client", "-endpoint="+path)
	if code != exitFailed || !strings.Contains(errs, "rpc_test -mode=server -endpoint="+path) {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

func TestWrongCommandLinesAreRefusedWithTheUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-mode=sing":                      "unknown mode \"sing\"",
		"-sing":                           "not defined: -sing",
		"bench":                           "unexpected argument",
		"-mode=bench -payloads=x":         "-payloads x",
		"-mode=bench -payloads=":          "-payloads is empty",
		"-mode=bench -callers=0":          "-callers 0",
		"-mode=bench -transports=pigeons": "unknown \"pigeons\"",
		"-mode=bench -codec=xml":          "-codec",
		"-mode=bench -runs=0":             "-runs 0",
		"-mode=chaos -rounds=0":           "-rounds 0",
		"-mode=chaos -kinds=love":         "unknown \"love\"",
	} {
		if code, _, errs := command(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", args, code, errs, exitUsage, want)
		}
	}
	code, _, errs := command(t, "-h")
	if code != exitOK || !strings.Contains(errs, "usage: rpc_test") || strings.Contains(errs, "-role") {
		t.Errorf("-h: exit code %d, %q", code, errs)
	}
}

// lastLine is the JSON that a mode ends with.
func lastLine(t *testing.T, out string, v any) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), v); err != nil {
		t.Fatalf("the last line is no JSON: %v: %s", err, out)
	}
}

// measured runs a short bench, and a longer one on a machine so busy that it is too short for a single answer.
func measured(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	for _, d := range []string{"40ms", "400ms", "4s"} {
		code, out, errs = command(t, append([]string{"-mode=bench", "-duration=" + d}, args...)...)
		if !strings.Contains(errs, "raise -duration") {
			break
		}
	}
	return code, out, errs
}

func TestBenchMeasuresEveryCellInProcessesOfTheirOwn(t *testing.T) {
	transports := []string{"uds", "tcp", "inproc"}
	if runtime.GOOS == "linux" {
		transports = append(transports, "shm")
	}
	codecs, runs := []string{"protobuf", "bytes"}, "-runs=2"
	switch {
	case testing.Short():
		codecs, runs = codecs[:1], "-runs=1"
	case runtime.GOOS != "windows":
		transports = append(transports, "raw-uds", "grpc-uds") // builds tools/rivals
	}
	for _, codec := range codecs {
		code, out, errs := measured(t, "-json", runs, "-payloads=64", "-callers=1,64", "-gomaxprocs=1", "-codec="+codec, "-transports="+strings.Join(transports, ","))
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		var got struct {
			GOMAXPROCS int
			Cases      []map[string]any
			Ratios     map[string]float64
		}
		lastLine(t, out, &got)
		if got.GOMAXPROCS != 1 || len(got.Cases) != 2*len(transports) {
			t.Errorf("%d cases with GOMAXPROCS=%d", len(got.Cases), got.GOMAXPROCS)
		}
		for _, c := range got.Cases {
			for _, key := range []string{"calls_per_s", "p50_us", "p99_us", "cpu_us_per_call"} {
				if n, ok := c[key].(float64); !ok || n <= 0 && !(runtime.GOOS == "windows" && key == "cpu_us_per_call") {
					t.Errorf("%s of %v is %v", key, c, c[key])
				}
			}
		}
		if slices.Contains(transports, "grpc-uds") && slices.Contains(transports, "shm") && got.Ratios["shm_vs_grpc_uds_64B_c64"] <= 0 {
			t.Errorf("ratios are %v", got.Ratios)
		}
	}
}

func TestTheStubsAreMeasuredToo(t *testing.T) {
	code, out, errs := measured(t, "-json", "-runs=1", "-payloads=64", "-callers=2", "-api=stubs", "-transports=uds")
	if code != exitOK || !strings.Contains(out, `"api":"stubs"`) {
		t.Fatalf("exit code %d: %s", code, errs)
	}
}

func TestTheLinksLoadArrivesWhole(t *testing.T) {
	code, out, errs := command(t, "-mode=bench", "-link", "-json", "-duration=50ms")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var got linkReport
	lastLine(t, out, &got)
	if got.Inputs != 20_000 || got.Batches != 20 || got.InputP99 <= 0 || got.BatchP99 <= 0 {
		t.Errorf("in half a second: %+v", got)
	}
}

func TestThePlanIsTheSameForTheSameSeed(t *testing.T) {
	o := chaosOptions{rounds: 100}
	one, same, other := o.plan(1), o.plan(1), o.plan(2)
	if !slices.Equal(one, same) || slices.Equal(one, other) {
		t.Error("the order of things is not that of the seed")
	}
	for _, kind := range chaosKinds() {
		if !slices.Contains(one, kind) {
			t.Errorf("100 rounds without %s", kind)
		}
	}
	o.freeze = true
	if p := o.plan(1); slices.ContainsFunc(p, func(kind string) bool { return kind != freeze }) {
		t.Errorf("-freeze plans %v", p)
	}
}

func TestMediansAndRatiosAreThoseOfTheRuns(t *testing.T) {
	if s := spreadOf([]float64{3, 1, 2, 10}); s != (spread{2.5, 1, 10}) {
		t.Errorf("spread %v", s)
	}
	b := &benchOptions{runs: 3, duration: time.Second, payloads: []int{64}, callers: []int{64}, codec: "protobuf", procs: 1}
	samples := map[cell][]sample{
		{"shm", 64, 64}:      {{calls: 10}, {calls: 30}, {calls: 40}},
		{"grpc-uds", 64, 64}: {{calls: 1}, {calls: 1}, {calls: 2}},
	}
	r := newReport(b, samples)
	const name = "shm_vs_grpc_uds_64B_c64"
	if r.Ratios[name] != 20 || r.Spread[name] != [2]float64{10, 30} || wanted(r.aims[name], r.Ratios[name]) != "aim >= 20: reached" {
		t.Errorf("ratio %v, spread %v, %q", r.Ratios[name], r.Spread[name], r.aims[name])
	}
	if _, ok := r.Ratios["shm_vs_uds_64KiB_c64"]; ok {
		t.Error("a ratio of cells that were not measured")
	}
}

func TestADeadChildIsTold(t *testing.T) {
	c, err := self(t.Context(), "peer", nil, "-role=peer")
	if err != nil {
		t.Fatal(err)
	}
	c.kill()
	if err := c.stop(); err == nil || !strings.Contains(err.Error(), "peer ended with") {
		t.Errorf("stopping a dead child: %v", err)
	}
	if _, err := self(t.Context(), "dancer", nil, "-role=dancer"); err == nil || !strings.Contains(err.Error(), `unknown role "dancer"`) {
		t.Errorf("starting what does not exist: %v", err)
	}
}
