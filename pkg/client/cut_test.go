package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/client"
)

// TestCutAtEveryByteLosesAndRepeatsNothing plays one conversation again and again, and cuts its first two connections one byte later each time.
func TestCutAtEveryByteLosesAndRepeatsNothing(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 37
	}
	for _, direction := range []string{"read", "write"} {
		t.Run(direction, func(t *testing.T) {
			cuts, whole := 0, 0
			for at := 0; ; at += step {
				cut := false
				synctest.Test(t, func(t *testing.T) { cut = converse(t, direction, at) })
				if t.Failed() {
					t.Fatalf("cut at byte %d", at)
				}
				if cut {
					cuts++
				} else if whole++; whole == 3 { // the conversation is over before
					break
				}
			}
			if cuts < 300/step {
				t.Errorf("%d cuts, want them throughout the conversation", cuts)
			}
		})
	}
}

// converse has requests and pushes cross each other while the first two connections are cut. It tells whether one was.
func converse(t *testing.T, direction string, at int) (cut bool) {
	const said, asked = 9, 6
	w := newWorld(t)
	dials := 0
	w.cfg.Network.NetDial = func(context.Context, string, string) (net.Conn, error) {
		c := &cutter{Conn: w.dial(), read: -1, write: -1}
		if dials++; dials <= 2 {
			if direction == "read" {
				c.read = at
			} else {
				c.write = at
			}
		}
		return c, nil
	}
	c, err := client.Dial(t.Context(), w.cfg)
	if err != nil {
		return true // cut before there was a session
	}
	l := w.latest()
	var heard []uint32
	ended := make(chan error, 1)
	go func() {
		ended <- c.Serve(client.Handler{Push: func(_ uint16, b []byte) {
			var m wrapperspb.UInt32Value
			if err := proto.Unmarshal(b, &m); err != nil {
				t.Error(err)
			}
			heard = append(heard, m.Value)
		}})
	}()
	answers := make(chan error, asked)
	go func() {
		for n := range uint32(said) {
			w.say(l, n+1)
			<-time.After(7 * time.Millisecond)
		}
	}()
	for n := range uint32(asked) {
		<-time.After(9 * time.Millisecond)
		go func() {
			var m wrapperspb.UInt32Value
			err := c.Request(t.Context(), routeAsk, wrapperspb.UInt32(n+1), &m)
			if err == nil && m.Value != 2*(n+1) {
				err = fmt.Errorf("asked %d, answered %d", n+1, m.Value)
			}
			answers <- err
		}()
	}
	failed := 0
	for range asked {
		if err := <-answers; err != nil {
			failed++
			if !errors.Is(err, client.ErrNotRecovered) && !errors.Is(err, client.ErrUnknownOutcome) {
				t.Error(err)
			}
		}
	}
	<-time.After(20 * time.Second)
	_ = c.Close()
	err = <-ended
	if lost := errors.Is(err, client.ErrNotRecovered); lost != (failed > 0) || !lost && !errors.Is(err, client.ErrClosed) {
		t.Errorf("%d requests failed, and the end was %v", failed, err)
	} else if !lost && len(heard) != said {
		t.Errorf("heard %v, and the session went on", heard)
	} else if lost && len(heard) > 0 {
		t.Errorf("lost after a numbered message, which is a ticket at first: %v", err)
	}
	for i, n := range heard {
		if n != uint32(i+1) {
			t.Errorf("heard %v", heard)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, times := range l.executed {
		if times != 1 {
			t.Errorf("request %d was executed %d times", n, times)
		}
	}
	if !errors.Is(err, client.ErrNotRecovered) && len(l.executed) != asked {
		t.Errorf("%d of %d requests were executed", len(l.executed), asked)
	}
	return dials > 1
}
