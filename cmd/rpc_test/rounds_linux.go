package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// killServer kills the server that the survivor calls, and starts it again.
func (r *round) killServer() error {
	endpoint := r.endpoint()
	server, err := r.peer("-endpoint=" + endpoint)
	if err != nil {
		return err
	}
	client, err := r.client(endpoint)
	if err != nil {
		return err
	}
	l := r.load(client, chaosCallers, chaosTimeout)
	if err := r.busy(l); err != nil {
		return err
	}
	death := r.died(server)
	r.pending(l, death)
	again, err := r.peer("-endpoint=" + endpoint)
	if err != nil {
		return err
	}
	if err := r.back(l, death, again); err != nil {
		return err
	}
	if err := r.busy(l); err != nil {
		return err
	}
	r.note = fmt.Sprintf("%s, %d calls", transportFor(endpoint), l.good.Load())
	return r.expect(client, endpoint)
}

// killClient kills a client that calls the survivor and is called back.
func (r *round) killClient() error {
	endpoint := r.endpoint()
	h, service, err := r.serve(endpoint)
	if err != nil {
		return err
	}
	client, err := r.peer("-dial="+endpoint, fmt.Sprintf("-load=%d", chaosCallers))
	if err != nil {
		return err
	}
	r.until(chaosPatience, "a client that was started calls", func() bool { return service.executed.Load() > 300 && service.slow.Load() >= slowCallers })
	peers := h.server.Peers()
	if len(peers) != 1 {
		return fmt.Errorf("%d peers are connected, 1 was started", len(peers))
	}
	l := r.load(peers[0], chaosCallers/4, chaosTimeout)
	if err := r.busy(l); err != nil {
		return err
	}
	death := r.died(client)
	r.pending(l, death)
	l.stop()
	r.until(time.Second, "the dead client is forgotten", func() bool { return len(h.server.Peers()) == 0 })
	r.until(time.Second, "the handlers of a dead client's calls are cancelled", func() bool { return service.cancelled.Load() == service.slow.Load() })

	before := service.executed.Load()
	if _, err := r.peer("-dial="+endpoint, fmt.Sprintf("-load=%d", chaosCallers)); err != nil {
		return err
	}
	r.until(chaosPatience, "the next client calls", func() bool { return service.executed.Load() > before+300 })
	r.note = fmt.Sprintf("%s, %d calls and %d back", transportFor(endpoint), service.executed.Load(), l.good.Load())
	return nil
}

// killBoth kills a server and a client that call each other, while the survivor calls the one and is called by the other.
func (r *round) killBoth() error {
	theirs, own := r.endpoint(), r.endpoint()
	h, service, err := r.serve(own)
	if err != nil {
		return err
	}
	server, err := r.peer("-endpoint=" + theirs)
	if err != nil {
		return err
	}
	between := []string{"-dial=" + theirs + "," + own, fmt.Sprintf("-load=%d", chaosCallers/4)}
	client, err := r.peer(between...)
	if err != nil {
		return err
	}
	caller, err := r.client(theirs)
	if err != nil {
		return err
	}
	l := r.load(caller, chaosCallers/2, chaosTimeout)
	if err := r.busy(l); err != nil {
		return err
	}
	r.until(chaosPatience, "a client that was started calls", func() bool { return service.executed.Load() > 100 })
	death := r.died(server, client)
	r.pending(l, death)
	r.until(time.Second, "the dead client is forgotten", func() bool { return len(h.server.Peers()) == 0 })

	again, err := r.peer("-endpoint=" + theirs)
	if err != nil {
		return err
	}
	if err := r.back(l, death, again); err != nil {
		return err
	}
	before := service.executed.Load()
	if _, err := r.peer(between...); err != nil {
		return err
	}
	r.until(chaosPatience, "the next client calls", func() bool { return service.executed.Load() > before+100 })
	r.note = fmt.Sprintf("%s and %s, %d calls made and %d served", transportFor(theirs), transportFor(own), l.good.Load(), service.executed.Load())
	return nil
}

// Numbers of a freeze.
const (
	frozenFor     = 5 * time.Second
	frozenTimeout = 200 * time.Millisecond // of calls to the frozen peer
	mostOverrun   = 50 * time.Millisecond  // that a call may outlive its deadline
)

// freeze stops a peer that the survivor calls, and lets it go on; another peer must not feel it.
func (r *round) freeze() error {
	frozen, other := r.endpoint(), r.endpoint()
	victim, err := r.peer("-endpoint=" + frozen)
	if err != nil {
		return err
	}
	if _, err := r.peer("-endpoint=" + other); err != nil {
		return err
	}
	client, err := r.client(frozen)
	if err != nil {
		return err
	}
	bystander, err := r.client(other)
	if err != nil {
		return err
	}
	callBystander := func(d time.Duration) measure.Result {
		callers := make([]func() error, 4)
		for i := range callers {
			callers[i] = callEcho(bystander, make([]byte, smallBytes))
		}
		return measure.Closed(measure.Cell{Duration: d}, callers)
	}
	callBystander(200 * time.Millisecond)
	before := callBystander(time.Second)

	l := r.load(client, chaosCallers, frozenTimeout)
	if err := r.busy(l); err != nil {
		return err
	}
	l.taken() // a busy machine may have been late before
	stopped := time.Now()
	victim.cmd.Process.Signal(syscall.SIGSTOP)
	during := callBystander(frozenFor)
	victim.cmd.Process.Signal(syscall.SIGCONT)
	going := time.Now()
	for _, f := range l.taken() {
		over := f.ended.Sub(f.began) - frozenTimeout
		r.samples[freezeOverrun] = append(r.samples[freezeOverrun], int64(max(0, over)))
		if over > mostOverrun {
			r.problem("a call to a frozen peer outlived its deadline by %v: %v", over, f.err)
		}
	}
	r.samples[otherBefore] = []int64{int64(before.P99)}
	r.samples[otherDuring] = []int64{int64(during.P99)}
	if n := before.Errors + during.Errors; n > 0 {
		r.problem("%d calls to a peer that was not frozen failed: %s%s", n, before.Error, during.Error)
	}
	l.marked.Store(going.UnixNano())
	first, err := l.firstAfter(r.ctx, chaosPatience)
	if err != nil {
		return fmt.Errorf("the peer goes on, calls do not: %w: %v", err, l.last())
	}
	r.note = fmt.Sprintf("%s frozen, %s not, answers %v after it went on; the other's p99 %v before, %v during", transportFor(frozen), transportFor(other),
		first.Sub(going).Round(time.Millisecond), before.P99, during.P99)
	if l.failed.Load() == 0 {
		r.problem("no call failed while the peer was frozen for %v", going.Sub(stopped))
	}
	return nil
}

// Numbers of a slow consumer.
const (
	heldStreams = 24
	heldBytes   = 16 << 10 // of a message
	heldChunks  = 64       // that each stream is sent in all
)

// exhaust fills streams that nobody reads, calls all the same, lets them be read, and counts what arrived.
func (r *round) exhaust() error {
	endpoint := r.endpoint()
	server, err := r.peer("-endpoint=" + endpoint)
	if err != nil {
		return err
	}
	client, err := r.client(endpoint)
	if err != nil {
		return err
	}
	options := []rpc.CallOption{}
	if r.chance.IntN(2) == 0 {
		options = append(options, rpc.Bulk())
	}
	type held struct {
		stream *rpc.ClientStream[pb.Chunk, pb.UploadResponse]
		sent   uint32
		sum    uint64
	}
	streams := make([]held, heldStreams)
	chunkOf := func(i int, h *held) *pb.Chunk {
		payload := randomPayload(heldBytes, uint64(i)<<32|uint64(h.sent))
		return &pb.Chunk{Payload: payload, Number: h.sent, Sum: sumOf(payload)}
	}
	stuck := 0
	for i := range streams {
		h := &streams[i]
		if h.stream, err = rpc.OpenStream[pb.Chunk, pb.UploadResponse](r.ctx, client, holdMethod, options...); err != nil {
			return err
		}
		r.later(h.stream.Cancel)
		for h.sent < heldChunks {
			chunk := chunkOf(i, h)
			if err := h.stream.TrySend(chunk); errors.Is(err, mux.ErrWouldBlock) {
				stuck++
				break
			} else if err != nil {
				return fmt.Errorf("stream %d, message %d to a consumer that does not read: %w", i, h.sent, err)
			}
			h.sent++
			h.sum += chunk.Sum
		}
	}
	if stuck == 0 {
		r.problem("%d streams took %d KiB each that nobody read", heldStreams, heldChunks*heldBytes>>10)
	}
	l := r.load(client, chaosCallers/4, chaosTimeout) // calls pass by
	if err := r.busy(l); err != nil {
		return fmt.Errorf("beside streams that nobody reads: %w", err)
	}
	if err := r.burst(client); err != nil {
		return err
	}
	if _, err := server.ask(r.ctx, measure.Request{Do: doRelease}); err != nil {
		return err
	}
	for i := range streams {
		h := &streams[i]
		for ; h.sent < heldChunks; h.sent++ {
			chunk := chunkOf(i, h)
			if err := h.stream.Send(chunk); err != nil {
				return fmt.Errorf("stream %d, message %d to a consumer that reads again: %w", i, h.sent, err)
			}
			h.sum += chunk.Sum
		}
		answer, err := h.stream.CloseAndRecv()
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		if answer.Chunks != heldChunks || answer.Bytes != heldChunks*heldBytes || answer.Sum != h.sum {
			r.corrupt++
			r.problem("of stream %d arrived %d messages, %d bytes: sent were %d and %d, or the checksums differ", i, answer.Chunks, answer.Bytes, heldChunks, heldChunks*heldBytes)
		}
	}
	l.stop()
	refused := 0
	for _, f := range l.taken() {
		if e := status.Of(f.err); e.Code == status.ResourceExhausted && e.Fate == status.NotSent { // back-pressure, said at once; nothing is lost
			refused++
			continue
		}
		r.problem("a call beside a slow consumer failed: %v", f.err)
	}
	r.note = fmt.Sprintf("%s, %d of %d streams were full, %d calls beside them, %d refused for want of room", transportFor(endpoint), stuck, heldStreams, l.good.Load(), refused)
	return nil
}

// burst makes more large calls at once than shared memory could hold.
func (r *round) burst(client *rpc.Client) error {
	const calls = 768 // 48 MiB each way
	payload := randomPayload(largeBytes, 7)
	req := &pb.EchoRequest{Payload: payload, Sum: sumOf(payload)}
	futures := make([]rpc.Future[pb.EchoResponse], calls)
	for i := range futures {
		futures[i] = rpc.Go[pb.EchoResponse](r.ctx, client, "rpctest.v1.Echo/Echo", req, rpc.WithTimeout(4*chaosTimeout), rpc.NoRetry())
	}
	for i, f := range futures {
		resp, err := f.Wait(r.ctx)
		switch {
		case errors.Is(err, status.ErrNotSent): // more than may wait for the peer: said at once, and honest
		case err != nil:
			return fmt.Errorf("call %d of %d large ones at once: %w", i, calls, err)
		case sumOf(resp.Payload) != req.Sum:
			r.corrupt++
		}
	}
	return nil
}

// reconnects lets many clients come and go, here and there.
func (r *round) reconnects() error {
	const clients = 16
	theirs, own := r.endpoint(), r.endpoint()
	h, service, err := r.serve(own)
	if err != nil {
		return err
	}
	peer, err := r.peer("-endpoint=" + theirs)
	if err != nil {
		return err
	}
	there := make(chan error, 1)
	go func() {
		_, err := peer.ask(r.ctx, measure.Request{Do: doStorm, Args: []string{own, fmt.Sprint(clients)}})
		there <- err
	}()
	err = storm(r.ctx, theirs, clients)
	if err = errors.Join(err, <-there); err != nil {
		return fmt.Errorf("%d clients at once each way: %w", clients, err)
	}
	r.until(2*time.Second, "clients that went are forgotten", func() bool { return len(h.server.Peers()) == 0 })
	if n := service.executed.Load(); n != 2*clients {
		r.problem("%d calls were executed, %d were made", n, 2*clients)
	}
	r.note = fmt.Sprintf("%s and %s, %d clients each way", transportFor(theirs), transportFor(own), clients)
	return nil
}
