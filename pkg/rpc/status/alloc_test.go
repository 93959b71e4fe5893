//go:build !race

package status_test

import (
	"errors"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func TestAskingForTheCodeAllocatesNothing(t *testing.T) {
	err := error(status.New(status.NotFound, "x"))
	buffer := make([]byte, 0, 256)
	for name, run := range map[string]func(){
		"CodeOf":      func() { status.CodeOf(err) },
		"Err":         func() { _ = status.NotFound.Err() },
		"Is":          func() { errors.Is(err, status.NotFound.Err()) },
		"CodeOf(nil)": func() { status.CodeOf(nil) },
		"AppendWire":  func() { e := status.Of(err); buffer = e.AppendWire(buffer[:0]); _ = e.SizeWire() },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
