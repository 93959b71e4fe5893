//go:build linux && (amd64 || arm64)

package shm

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cloudwego/shmipc-go"
)

var pageMagic = []byte("TIANXIA SHM PAGE")

// greet sends a block of the handshake.
func (l *lane) greet(kind byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.take(); err != nil {
		return err
	}
	return l.send(kind, 0)
}

func (l *lane) expectHello(ctx context.Context) (err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	deadline, _ := ctx.Deadline()
	_ = l.stream.SetReadDeadline(deadline)
	defer l.stream.SetReadDeadline(time.Time{})
	return l.expect(kindHello)
}

// sendPage makes the page of counters and gives the server the other view of it. The server never gives it back, so that both have it for as long as the mapping is there.
func sendPage(stream *shmipc.Stream) ([]byte, error) {
	page, err := stream.BufferWriter().Reserve(pageBlock)
	if err != nil {
		return nil, err
	}
	clear(page)
	copy(page[len(page)-len(pageMagic):], pageMagic)
	return page, stream.Flush(false)
}

func receivePage(ctx context.Context, stream *shmipc.Stream) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	_ = stream.SetReadDeadline(deadline)
	page, err := stream.BufferReader().ReadBytes(pageBlock)
	if err != nil {
		return nil, fmt.Errorf("the page of counters: %w", err)
	}
	if !bytes.HasSuffix(page, pageMagic) {
		return nil, fmt.Errorf("%w: no page of counters", errBlock)
	}
	return page, nil
}
