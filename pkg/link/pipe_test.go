package link

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestPipeKeepsOrderAndClosesBothEnds(t *testing.T) {
	l, p := Pipe(Hello{Game: "x"}, PipeConfig{})
	if l.Hello().Game != "x" {
		t.Error("no hello")
	}
	for i := range uint32(5) {
		if err := l.Send(Up{Kind: FromClient, ID: i}); err != nil {
			t.Fatal(err)
		}
	}
	<-p.Ready()
	got, err := p.Receive(nil)
	if err != nil || len(got) != 5 || got[4].ID != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	_ = p.Send(Down{Kind: ToClient, ID: 9})
	_ = p.Close()
	_ = l.Close()
	down, err := l.Receive(nil)
	if err != nil || len(down) != 1 {
		t.Errorf("what was sent before the end must arrive: %v, %v", down, err)
	}
	if _, err := l.Receive(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("receive after the end: %v", err)
	}
	if err := l.Send(Up{}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	<-l.Ready()
	<-l.Ready() // for good
}

func TestPipeIsBounded(t *testing.T) {
	l, p := Pipe(Hello{}, PipeConfig{UpMessages: 3, UpBytes: 100, Batches: 2, DownBytes: 10})
	for i := range 4 {
		if err := l.Send(Up{Kind: FromClient}); (err != nil) != (i == 3) {
			t.Errorf("input %d: %v", i, err)
		}
	}
	if err := l.Send(Up{Kind: CloseSession}); err != nil {
		t.Errorf("the end of a session must pass a full queue: %v", err)
	}
	_, _ = p.Receive(nil)
	if err := l.Send(Up{Kind: FromClient, Payload: make([]byte, 101)}); !errors.Is(err, ErrFull) {
		t.Errorf("too many bytes: %v", err)
	}
	for i := range 3 {
		if err := p.Send(Down{Kind: Batch, Payload: make([]byte, 1000)}); (err != nil) != (i == 2) {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if err := p.Send(Down{Kind: ToClient, Payload: make([]byte, 10)}); err != nil {
		t.Errorf("batches that wait must not stop a reliable message: %v", err)
	}
	if err := p.Send(Down{Kind: ToClient, Payload: make([]byte, 1)}); !errors.Is(err, ErrFull) {
		t.Errorf("reliable messages above their bound: %v", err)
	}
}

func TestPipeUnderContention(t *testing.T) {
	l, p := Pipe(Hello{}, PipeConfig{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				_ = l.Send(Up{Kind: FromClient})
			}
		})
	}
	n := 0
	for n < 8000 {
		<-p.Ready()
		got, err := p.Receive(nil)
		if err != nil {
			t.Fatal(err)
		}
		n += len(got)
	}
	wg.Wait()
}

func ExamplePipe() {
	gateway, server := Pipe(Hello{Game: "plains"}, PipeConfig{})
	_ = gateway.Send(Up{Kind: OpenSession, Conn: 1})
	<-server.Ready()
	ups, _ := server.Receive(nil)
	fmt.Println(gateway.Hello().Game, ups[0].Conn)
	// Output: plains 1
}
