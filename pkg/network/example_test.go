package network_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/network"
)

// A server that answers every message in capitals, and a client.
func Example() {
	done := make(chan struct{})
	serve := func(c *network.Conn) {
		defer close(done)
		defer c.Close(1000, "")
		for {
			m, err := c.Next()
			if err != nil {
				fmt.Println("server:", err)
				return
			}
			out := make([]byte, network.HeaderRoom)
			if err := c.Send(append(out, strings.ToUpper(string(m))...)); err != nil {
				return // a real flusher keeps the message when it is network.ErrBusy
			}
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := network.Upgrade(w, r, network.Config{Subprotocol: "mmo.v1"})
		if err != nil {
			return // the client has its answer
		}
		go serve(c)
	}))
	defer s.Close()

	url := "ws" + strings.TrimPrefix(s.URL, "http")
	c, err := network.Dial(context.Background(), url, network.DialConfig{Config: network.Config{Subprotocol: "mmo.v1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Send(append(make([]byte, network.HeaderRoom), "hello"...)); err != nil {
		fmt.Println(err)
	}
	m, err := c.Next()
	fmt.Printf("client: %s %v\n", m, err)
	_ = c.Close(1000, "enough")
	<-done
	// Output:
	// client: HELLO <nil>
	// server: network: closed by peer: 1000 "enough"
}

// The same over plain TCP: a native client behind no proxy needs no HTTP.
func ExampleAccept() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ln = network.Listen(ln, network.ListenConfig{})
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		c, err := network.Accept(nc, network.Config{})
		if err != nil {
			return
		}
		m, err := c.Next()
		fmt.Printf("server: %s %v\n", m, err)
		_, err = c.Next()
		fmt.Println("server:", err)
		_ = c.Close(0, "")
	}()
	c, err := network.Dial(context.Background(), "tcp://"+ln.Addr().String(), network.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Send(append(make([]byte, network.HeaderRoom), "hello"...)); err != nil {
		fmt.Println(err)
	}
	_ = c.Close(1000, "the code stays here")
	<-done
	// Output:
	// server: hello <nil>
	// server: network: closed by peer; length-prefixed TCP carries no close code: EOF
}
