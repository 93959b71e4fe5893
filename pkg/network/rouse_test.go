package network

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestRouseMovesTheReaderAndLosesNothing(t *testing.T) {
	for _, scheme := range []string{"ws", "tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			noLeak(t)
			onDrain, drained := drainSignal()
			srv, client := pairOver(t, scheme, Config{Pool: new(Pool)}, DialConfig{Config: Config{OnDrain: onDrain}})
			messages := make(chan string, 8)
			ended, roused := make(chan error, 1), make(chan struct{})
			var read func()
			read = func() {
				for {
					m, err := srv.Next()
					switch {
					case err == ErrRoused:
						roused <- struct{}{}
						go read()
						return
					case err != nil:
						ended <- err
						return
					}
					messages <- string(m)
				}
			}
			go read()
			for range 5 {
				srv.Rouse()
				<-roused
				if err := sendAll(client, message("hello"), drained); err != nil {
					t.Fatal(err)
				}
				if m := <-messages; m != "hello" {
					t.Errorf("%q", m)
				}
			}
			// Half a message is kept, too.
			if scheme != "tls" {
				whole := prefixed("hello")
				if scheme == "ws" {
					whole = frame(0x82, "hello")
				}
				for _, part := range [][]byte{whole[:3], whole[3:]} {
					if _, err := client.nc.Write(part); err != nil {
						t.Fatal(err)
					}
					srv.Rouse()
					<-roused
				}
				if m := <-messages; m != "hello" {
					t.Errorf("%q", m)
				}
			}
			_ = srv.Close(0, "")
			srv.Rouse()
			checkCause(t, <-ended, &CloseError{Local: true})
		})
	}
}

func TestRouseAnswersOnce(t *testing.T) {
	srv, _ := pairOver(t, "tcp", Config{Pool: new(Pool)}, DialConfig{})
	srv.Rouse()
	srv.Rouse()
	if _, err := srv.Next(); err != ErrRoused {
		t.Fatal(err)
	}
	if err := srv.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Next(); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrRoused) {
		t.Fatal(err)
	}
}
