package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain lets the test binary be the processes that -mode=ws starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-role=") {
		main()
	}
	os.Exit(m.Run())
}

func TestEveryWebSocketSystemEchoesAndBroadcasts(t *testing.T) {
	for _, system := range wsSystems {
		t.Run(system, func(t *testing.T) {
			server, addr := start(t, "-role=server", "-system="+system, "-endpoint=127.0.0.1:0")
			// The note of the first line, which start has read, holds the certificate.
			client, _ := start(t, "-role=client", "-system="+system, "-endpoint="+addr, "-cert="+server.note)
			fmt.Fprintln(client.in, `{"do":"connect","args":["3"]}`)
			client.answer(t)
			for _, depth := range []int{1, 8} {
				fmt.Fprintf(client.in, `{"do":"echo","payload":64,"callers":%d,"duration_ns":10000000}`+"\n", depth)
				if n := client.answer(t).Values["messages"]; n < 3*uint64(depth) {
					t.Errorf("%d messages with %d in flight", n, depth)
				}
			}
			fmt.Fprintln(server.in, `{"do":"broadcast","payload":200,"args":["4"]}`)
			if v := server.answer(t).Values; v["sends"] != 12 || v["busy"] != 0 {
				t.Errorf("broadcast: %v", v)
			}
			fmt.Fprintln(client.in, `{"do":"receive","args":["4"]}`)
			client.answer(t)
			client.stop(t)
			server.stop(t)
		})
	}
}

func TestTheComparisonTellsEveryFigure(t *testing.T) {
	var out, errs bytes.Buffer
	args := strings.Fields("-mode=ws -json -runs=2 -duration=5ms -conns=2 -receivers=3 -idle=5")
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var figures []wsFigures
	if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
		t.Fatal(err)
	}
	targets := 0
	for _, f := range figures {
		if len(f.Samples) != 2 {
			t.Errorf("%s: %d samples", f.Name, len(f.Samples))
		}
		if f.Target != "" {
			targets++
		}
	}
	if targets != 3 {
		t.Errorf("%d figures have a target, want 3", targets)
	}
}
