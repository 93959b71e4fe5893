package rpc_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// records keeps log lines.
type records struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func newRecords() *records { return &records{} }

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *records) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func (r *records) count(message string) int { return strings.Count(r.text(), "msg=\""+message+"\"") }
