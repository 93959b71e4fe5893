package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// What follows shows that chaos can fail: a crash, a leak and a changed byte are seen.

func TestACrashOfTheSurvivorIsCountedAndAnotherOneGoesOn(t *testing.T) {
	var out bytes.Buffer
	c := &campaign{out: &out, report: chaosReport{Seed: 1, Kinds: map[string]int{}}, samples: map[string][]int64{}}
	var err error
	// Any process does, as it dies before it is asked for anything; this one is there sooner.
	if c.survivor, err = self(t.Context(), "survivor", nil, "-role=peer"); err != nil {
		t.Fatal(err)
	}
	c.survivor.cmd.Process.Signal(syscall.SIGKILL)
	if err := c.run(t.Context(), []string{killServer, killServer}); err != nil {
		t.Fatal(err)
	}
	c.finish()
	if c.report.SurvivorCrashes != 1 || c.report.Rounds != 2 || c.report.PendingFails == 0 {
		t.Errorf("report %+v\n%s", c.report, out.String())
	}
	if err := c.report.broken(); err == nil || !strings.Contains(err.Error(), "survivor_crashes is 1") {
		t.Errorf("a crash is no reason to fail: %v", err)
	}
}

func TestLeftoversAreSeen(t *testing.T) {
	s := &survivor{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // settle looks once and does not wait
	look := func() measure.Reply {
		t.Helper()
		now, err := look()
		if err != nil {
			t.Fatal(err)
		}
		return s.compare(now)
	}
	var err error
	if s.before, err = s.settle(t.Context(), leftovers{}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	held := make(chan struct{})
	go func() { <-held }()
	defer close(held)
	reply := look()
	if reply.Values[leakedFds] != 1 || reply.Values[leakedRuns] != 1 || !strings.Contains(reply.Note, os.DevNull) {
		t.Errorf("a descriptor and a goroutine more: %v\n%s", reply.Values, reply.Note)
	}
	if _, err := s.settle(ctx, s.before); err == nil {
		t.Error("settling goes on after its context has ended")
	}
}

func TestAChangedByteIsSeen(t *testing.T) {
	st, err := newStage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.clear()
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://liar"}, InProc: st.network})
	if err != nil {
		t.Fatal(err)
	}
	rpc.Handle(server, rpctest.EchoMethodEcho, func(_ context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
		resp := &pb.EchoResponse{Payload: req.Payload, Number: req.Number, Sum: req.Sum}
		if req.Number%10 == 0 {
			resp.Payload[len(resp.Payload)-1] ^= 1
		}
		return resp, nil
	})
	h, err := host(server)
	if err != nil {
		t.Fatal(err)
	}
	defer h.stop()
	client, err := st.client(rpc.ClientConfig{Endpoint: "inproc://liar"})
	if err != nil {
		t.Fatal(err)
	}
	l := startLoad(t.Context(), client, 2, time.Second)
	if err := l.reaches(t.Context(), 100, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stop()
	if l.corrupt.Load() == 0 || l.failed.Load() != 0 {
		t.Errorf("%d of %d answers were changed and seen, %d failed", l.corrupt.Load(), l.good.Load(), l.failed.Load())
	}
}
