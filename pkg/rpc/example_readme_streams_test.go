package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

func Example_upload() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.HandleStream(server, "world.Upload", func(_ context.Context, s *rpc.ServerStream[Line, Size]) error {
		total := 0
		for {
			line, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return s.Send(&Size{total}) // the one answer
			} else if err != nil {
				return err
			}
			total += len(line.Text)
		}
	})

	up, err := rpc.OpenStream[Line, Size](ctx, client, "world.Upload")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"rain", "sun"} {
		if err := up.Send(&Line{text}); err != nil {
			log.Fatal(err)
		}
	}
	size, err := up.CloseAndRecv()
	fmt.Println(size, err)
	// Output: &{7} <nil>
}

func Example_watch() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.HandleStream(server, "world.Watch", func(_ context.Context, s *rpc.ServerStream[Enter, Line]) error {
		who, err := s.Recv() // the one request
		if err != nil {
			return err
		}
		for _, text := range []string{"rain", "sun"} {
			if err := s.Send(&Line{fmt.Sprint(text, " for ", who.Player)}); err != nil {
				return err
			}
		}
		return nil // ends the stream: the reader gets io.EOF; an error is what the reader gets
	})

	events, err := rpc.OpenStream[Enter, Line](ctx, client, "world.Watch")
	if err == nil {
		err = events.Send(&Enter{Player: 7})
	}
	for err == nil {
		var line *Line
		if line, err = events.Recv(); err == nil {
			fmt.Println(line.Text)
		}
	}
	if !errors.Is(err, io.EOF) { // receive to the end, events.Cancel(), or cancel ctx: else the stream stays open
		log.Fatal(err)
	}
	// Output:
	// rain for 7
	// sun for 7
}

func Example_credit() {
	server, client, stop := together(rpc.ServerConfig{Mux: mux.Config{Window: 4 << 10}}, rpc.ClientConfig{})
	defer stop()
	awake := make(chan struct{})
	rpc.HandleStream(server, "world.Feed", func(_ context.Context, s *rpc.ServerStream[Line, Size]) error {
		<-awake
		for n := 0; ; n++ {
			if _, err := s.Recv(); errors.Is(err, io.EOF) {
				return s.Send(&Size{n})
			} else if err != nil {
				return err
			}
		}
	})
	feed, err := rpc.OpenStream[Line, Size](context.Background(), client, "world.Feed")
	if err != nil {
		log.Fatal(err)
	}

	sent := 0
	for err == nil {
		if err = feed.TrySend(&Line{"tick"}); err == nil {
			sent++
		}
	}
	if errors.Is(err, mux.ErrWouldBlock) { // the reader is a whole window behind: skip, merge, or wait with Send
		fmt.Println("the reader is behind")
	}

	close(awake)
	got, err := feed.CloseAndRecv()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("all that was sent was read:", got.Bytes == sent)
	// Output:
	// the reader is behind
	// all that was sent was read: true
}
