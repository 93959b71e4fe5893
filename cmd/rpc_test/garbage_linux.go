package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
)

// silence is how long a garbage peer listens before it goes.
const silence = 300 * time.Millisecond

// garbage connects to both sockets of the survivor with what no peer of ours would say, and lets the survivor connect to listeners that answer so.
func (r *round) garbage() error {
	r.sockets++
	path := filepath.Join(r.dir, strconv.Itoa(r.sockets)+".sock")
	_, service, err := r.serve("unix://" + path)
	if err != nil {
		return err
	}
	good, err := r.client("unix://" + path)
	if err != nil {
		return err
	}
	l := r.load(good, 4, chaosTimeout)
	var visits sync.WaitGroup
	sent := 0
	for _, target := range []struct{ scheme, socket string }{{"uds", path}, {"shm", path + ".shm"}} {
		genuine, err := r.eavesdrop(target.scheme)
		if err != nil {
			return err
		}
		for _, nonsense := range r.nonsense(genuine) {
			sent++
			visits.Go(func() { visitRudely(r.ctx, target.socket, nonsense) })
		}
	}
	lies := r.liars()
	visits.Wait()
	lies()
	if err := r.busy(l); err != nil {
		return fmt.Errorf("beside peers that speak nonsense: %w", err)
	}
	l.stop()
	for _, f := range l.taken() {
		r.problem("a call beside peers that speak nonsense failed: %v", f.err)
	}
	if err := visit(r.ctx, "unix://"+path, 5); err != nil { // the doors are still open
		return fmt.Errorf("after peers that spoke nonsense: %w", err)
	}
	r.note = fmt.Sprintf("%d peers with nonsense beside %d good calls", sent, service.executed.Load())
	return nil
}

// eavesdrop is what a client of ours says first.
func (r *round) eavesdrop(scheme string) ([]byte, error) {
	r.sockets++
	path := filepath.Join(r.dir, strconv.Itoa(r.sockets)+".sock")
	socket := path
	if scheme == "shm" {
		socket += ".shm"
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: scheme + "://" + path})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	l.(*net.UnixListener).SetDeadline(time.Now().Add(chaosPatience))
	conn, err := l.Accept()
	if err != nil {
		return nil, fmt.Errorf("listen to what a client of %s says first: %w", scheme, err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(chaosPatience))
	first := make([]byte, 4096)
	n, err := conn.Read(first)
	if err != nil {
		return nil, fmt.Errorf("a client of %s says nothing: %w", scheme, err)
	}
	return first[:n], nil
}

// nonsense is what peers say that are not ours, or are broken.
func (r *round) nonsense(genuine []byte) [][]byte {
	random := func(n int) []byte { return randomPayload(n, r.chance.Uint64()) }
	with := func(tail ...byte) []byte { return append(append([]byte(nil), genuine...), tail...) }
	all := [][]byte{
		nil, // silence
		random(1), random(16), random(4096), random(64 << 10),
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		genuine[:r.chance.IntN(len(genuine))], // cut off
		genuine,                               // and nothing more
		with(random(512)...),
		with(binary.LittleEndian.AppendUint32(nil, 1<<32-1)...), // a frame of 4 GiB
		with(binary.LittleEndian.AppendUint32(nil, 0)...),       // and one of nothing
		make([]byte, 4096),
	}
	for range 8 { // a wrong version, a wrong kind, a wrong length: whatever a flipped byte makes of it
		flipped := with()
		flipped[r.chance.IntN(len(flipped))] ^= byte(1 + r.chance.IntN(255))
		all = append(all, flipped)
	}
	return all
}

// visitRudely says it and waits a moment for an answer.
func visitRudely(ctx context.Context, socket string, nonsense []byte) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return // a full backlog is no failure of the survivor
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(silence))
	conn.Write(nonsense)
	answer := make([]byte, 4096)
	for {
		if _, err := conn.Read(answer); err != nil {
			return
		}
	}
}

// liars listen where clients of ours connect to, and answer with nonsense. What it returns ends them.
func (r *round) liars() (stop func()) {
	var stops []func()
	for _, lie := range [][]byte{randomPayload(64, r.chance.Uint64()), randomPayload(8192, r.chance.Uint64()), []byte(strings.Repeat("\x00", 64)), nil} {
		for _, scheme := range []string{"uds", "shm"} {
			r.sockets++
			path := filepath.Join(r.dir, strconv.Itoa(r.sockets)+".sock")
			socket := path
			if scheme == "shm" {
				socket += ".shm"
			}
			l, err := net.Listen("unix", socket)
			if err != nil {
				r.problem("%v", err)
				continue
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.SetDeadline(time.Now().Add(silence))
					conn.Write(lie)
					conn.Close()
				}
			}()
			client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: scheme + "://" + path})
			if err != nil {
				r.problem("%v", err)
			}
			stops = append(stops, func() {
				if client != nil {
					if len(client.Peers()) > 0 {
						r.problem("a client has connected to a listener that speaks nonsense")
					}
					client.Close()
				}
				l.Close()
				<-ended
			})
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
