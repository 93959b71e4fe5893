package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

func TestRegisteringNonsensePanics(t *testing.T) {
	s, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"uds:///nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	echo(s)
	for name, f := range map[string]func(){
		"twice":     func() { echo(s) },
		"no name":   func() { rpc.Handle(s, "", func(context.Context, *say) (*heard, error) { return nil, nil }) },
		"long name": func() { s.Register(&mux.Method{Name: strings.Repeat("x", 256)}) },
		"nothing":   func() { s.Register(&mux.Method{Name: "x"}) },
		"odd":       func() { rpc.WithMetadata(append([]string(nil), "key")...) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestServiceOfAMethod(t *testing.T) {
	for method, want := range map[string]string{"game.v1.World/Move": "game.v1.World", "world.Move": "world", "a.b.C": "a.b", "Move": "", "/x": "", "": ""} {
		if got := rpc.ServiceOf(method); got != want {
			t.Errorf("ServiceOf(%q) = %q, want %q", method, got, want)
		}
	}
	s, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"uds:///nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	echo(s)
	s.RegisterService("more")
	s.RegisterService("test")
	if got := s.Instance().Services; !slices.Equal(got, []string{"more", "test"}) {
		t.Error(got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
