//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestAFrameArrivesOnEveryLaneEitherWay(t *testing.T) {
	client, server := pair(t, transport.Config{})
	for _, ends := range [][2]*conn{{client, server}, {server, client}} {
		for i, out := range ends[0].Lanes() {
			if err := send(out, out.MaxFrame(), uint64(i), true); err != nil {
				t.Fatal(err)
			}
			in := ends[1].Lanes()[i]
			batch, err := in.Receive()
			if err != nil {
				t.Fatal(err)
			}
			if len(batch) != out.MaxFrame() {
				t.Fatalf("%d bytes, sent %d", len(batch), out.MaxFrame())
			}
			if err := checkFrame(batch, uint64(i)); err != nil {
				t.Fatal(err)
			}
			in.Release()
		}
	}
	if s := client.Stats(); s.Fallbacks != 0 || s.Wakeups == 0 || s.BytesIn != s.BytesOut || s.BatchesIn != 5 {
		t.Fatalf("%+v", s)
	}
}

func TestCloseEndsBothEndsOnPurpose(t *testing.T) {
	client, server := pair(t, transport.Config{})
	received := make(chan error, 2)
	for _, c := range []*conn{client, server} {
		go func() {
			_, err := c.Lanes()[0].Receive()
			received <- err
		}()
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "Done of the other end", server.Done())
	for range 2 {
		if err := waitFor(t, "Receive", received); !errors.Is(err, transport.ErrClosed) {
			t.Fatal(err)
		}
	}
	for _, c := range []*conn{client, server} {
		if !errors.Is(c.Err(), transport.ErrClosed) {
			t.Fatal(c.Err())
		}
		c.Lanes()[0].Lock()
		if _, err := c.Lanes()[0].Reserve(64); !errors.Is(err, transport.ErrClosed) {
			t.Fatal(err)
		}
		c.Lanes()[0].Unlock()
	}
}

func TestConnectionsComeAndGoAndLeaveNothing(t *testing.T) {
	path := socketPath(t)
	l := listenAt(t, path, transport.Config{})
	rounds := 200
	if raceEnabled || testing.Short() {
		rounds = 40
	}
	var before holdings
	for i := range rounds {
		client, server := join(t, l, path, transport.Config{})
		if err := send(client.Lanes()[i%5], 64, uint64(i), true); err != nil {
			t.Fatal(err)
		}
		batch, err := server.Lanes()[i%5].Receive()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFrame(batch, uint64(i)); err != nil {
			t.Fatal(err)
		}
		server.Lanes()[i%5].Release()
		first, second := client, server
		if i%2 == 1 {
			first, second = server, client
		}
		if err := errors.Join(first.Close(), second.Close()); err != nil {
			t.Fatal(fmt.Errorf("round %d: %w", i, err))
		}
		if i == 0 {
			eventually(t, "the first connection is still mapped", func() (string, bool) {
				before = held(t)
				return fmt.Sprintf("%+v", before), before.mappings == 0
			})
		}
	}
	noMoreThan(t, before)
}
