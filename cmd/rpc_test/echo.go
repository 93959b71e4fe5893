package main

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// echo is the service that all modes call. Its methods are called from many goroutines.
type echo struct {
	instance string
	epoch    uint64
	notified chan string // what Notify was told, if anybody wants to know; full: forgotten

	executed  atomic.Uint64 // calls of Echo, Slow and Fail that were begun
	corrupt   atomic.Uint64 // payloads whose checksum was wrong
	slow      atomic.Uint64 // calls of Slow that were begun
	cancelled atomic.Uint64 // Slow calls whose context ended before their time
}

// sumOf is the checksum that goes with a payload; never 0, which means none.
func sumOf(payload []byte) uint64 {
	return uint64(crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))) | 1<<32
}

// check counts and refuses a payload that is not what was sent.
func (e *echo) check(payload []byte, sum uint64) error {
	if sum == 0 || sum == sumOf(payload) {
		return nil
	}
	e.corrupt.Add(1)
	return status.Errorf(status.DataLoss, "%d bytes arrived with another checksum than they were sent with", len(payload))
}

func (e *echo) Echo(_ context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
	e.executed.Add(1)
	if err := e.check(req.Payload, req.Sum); err != nil {
		return nil, err
	}
	return &pb.EchoResponse{Payload: req.Payload, Text: req.Text, Number: req.Number, Sum: req.Sum, SentNs: req.SentNs}, nil
}

func (e *echo) Slow(ctx context.Context, req *pb.SlowRequest) (*pb.EchoResponse, error) {
	e.executed.Add(1)
	e.slow.Add(1)
	over := time.NewTimer(time.Duration(req.WaitMs) * time.Millisecond)
	defer over.Stop()
	if req.Deaf {
		<-over.C
		return &pb.EchoResponse{Text: req.Text}, nil
	}
	select {
	case <-over.C:
		return &pb.EchoResponse{Text: req.Text}, nil
	case <-ctx.Done():
		e.cancelled.Add(1)
		return nil, ctx.Err()
	}
}

func (e *echo) Fail(_ context.Context, req *pb.FailRequest) (*pb.EchoResponse, error) {
	e.executed.Add(1)
	failure := status.New(status.Code(req.Code), req.Message)
	if req.Details {
		return nil, withDetails(failure, req)
	}
	return nil, failure
}

func withDetails(failure *status.Error, req *pb.FailRequest) error {
	detailed, err := failure.WithDetails(req)
	if err != nil {
		return err
	}
	return detailed
}

func (e *echo) Panic(context.Context, *pb.EchoRequest) (*pb.EchoResponse, error) {
	panic("a handler that was asked to panic")
}

func (e *echo) Who(ctx context.Context, _ *pb.WhoRequest) (*pb.WhoResponse, error) {
	who := &pb.WhoResponse{Instance: e.instance, Epoch: e.epoch}
	if peer := rpc.PeerFrom(ctx); peer != nil {
		who.Transport = peer.Transport()
	}
	return who, nil
}

func (e *echo) Notify(_ context.Context, req *pb.EchoRequest) error {
	select {
	case e.notified <- req.Text:
	default: // nobody asked, or does not look
	}
	return nil
}

func (e *echo) Upload(_ context.Context, s *rpc.ServerStream[pb.Chunk, pb.UploadResponse]) error {
	var answer pb.UploadResponse
	var chunk pb.Chunk
	for {
		err := s.RecvInto(&chunk)
		if errors.Is(err, io.EOF) {
			return s.Send(&answer)
		} else if err != nil {
			return err
		}
		if err := e.check(chunk.Payload, chunk.Sum); err != nil {
			return err
		}
		answer.Chunks++
		answer.Bytes += uint64(len(chunk.Payload))
		answer.Sum += chunk.Sum
	}
}

func (e *echo) Count(_ context.Context, s *rpc.ServerStream[pb.CountRequest, pb.CountResponse]) error {
	req, err := s.Recv()
	if err != nil {
		return err
	}
	if req.Bytes > 1<<20 {
		return status.Errorf(status.InvalidArgument, "%d bytes with each number: at most 1 MiB", req.Bytes)
	}
	answer := pb.CountResponse{Payload: make([]byte, req.Bytes)}
	for answer.Number = req.From; answer.Number < req.To; answer.Number++ {
		if err := s.Send(&answer); err != nil {
			return err
		}
	}
	return nil
}

func (e *echo) Chat(_ context.Context, s *rpc.ServerStream[pb.ChatLine, pb.ChatLine]) error {
	for {
		line, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		line.From = "server"
		if err := s.Send(line); err != nil {
			return err
		}
	}
}

func (e *echo) Blob(_ context.Context, s *rpc.ServerStream[pb.Chunk, pb.Chunk]) error {
	var chunk pb.Chunk
	for {
		err := s.RecvInto(&chunk)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := e.check(chunk.Payload, chunk.Sum); err != nil {
			return err
		}
		if err := s.Send(&chunk); err != nil {
			return err
		}
	}
}

var _ rpctest.EchoServer = (*echo)(nil)
