package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// side is a running server or client of a rival.
type side struct {
	in    *io.PipeWriter
	lines *bufio.Scanner
	code  chan int
	errs  bytes.Buffer
	note  string // of the first answer
}

func start(t *testing.T, args ...string) (*side, string) {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	s := &side{in: inWrite, lines: bufio.NewScanner(outRead), code: make(chan int, 1)}
	go func() {
		s.code <- run(t.Context(), args, inRead, outWrite, &s.errs)
		outWrite.Close()
	}()
	ready := s.answer(t)
	s.note = ready.Note
	return s, ready.Ready
}

func (s *side) answer(t *testing.T) (reply measure.Reply) {
	t.Helper()
	if !s.lines.Scan() {
		t.Fatalf("no answer: %s", s.errs.String())
	}
	if err := json.Unmarshal(s.lines.Bytes(), &reply); err != nil || reply.Error != "" {
		t.Fatalf("%s: %v", s.lines.Bytes(), err)
	}
	return reply
}

func (s *side) stop(t *testing.T) {
	t.Helper()
	s.in.Close()
	if code := <-s.code; code != 0 {
		t.Errorf("exit code %d: %s", code, s.errs.String())
	}
}

func TestEveryRivalRunsACell(t *testing.T) {
	for _, system := range []string{"raw-uds", "grpc-uds", "grpc-tcp"} {
		for _, codec := range []string{"protobuf", "bytes"} {
			t.Run(system+" "+codec, func(t *testing.T) {
				endpoint := filepath.Join(t.TempDir(), "rival.sock")
				if system == "grpc-tcp" {
					endpoint = "127.0.0.1:0"
				}
				server, addr := start(t, "-role=server", "-system="+system, "-codec="+codec, "-endpoint="+endpoint)
				client, _ := start(t, "-role=client", "-system="+system, "-codec="+codec, "-endpoint="+addr, "-conns=2", "-fresh")
				for _, payload := range []int{0, 64, 65536} {
					fmt.Fprintf(client.in, `{"do":"run","payload":%d,"callers":3,"duration_ns":20000000}`+"\n", payload)
					r := client.answer(t).Result
					if r == nil || r.Calls == 0 || r.Errors != 0 || r.P50 <= 0 || r.P99 < r.P50 {
						t.Errorf("payload %d: %+v", payload, r)
					}
				}
				client.stop(t)
				server.stop(t)
			})
		}
	}
}

func TestAWrongCommandLineIsRefusedWithTheReason(t *testing.T) {
	for args, want := range map[string]string{
		"-role=server -endpoint=x":                                  "-system",
		"-system=raw-uds -endpoint=x":                               "-role",
		"-system=raw-uds -role=client":                              "-endpoint is missing",
		"-system=raw-uds -role=client -endpoint=x -codec=json":      "-codec",
		"-system=raw-uds -role=client -endpoint=x -conns=0":         "-conns 0",
		"-system=grpc-uds -role=client -endpoint=x -timeout=banana": "banana",
		"-mode=wss":         "-mode",
		"-mode=ws -runs=0":  "-runs",
		"-mode=ws -idle=-1": "-idle",
	} {
		var errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), strings.NewReader(""), io.Discard, &errs); code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit code %d, %q; want 2 and %q", args, code, errs.String(), want)
		}
	}
}

// What is no ping must neither be answered nor end the server.
func FuzzPong(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 'a', 'b', 'c'})
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Add([]byte{1, 0, 0, 0, 'a', 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		go io.Copy(io.Discard, here)
		go func() {
			here.Write(b)
			here.Close()
		}()
		pong(there)
		there.Close() // ends both goroutines
	})
}
