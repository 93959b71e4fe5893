//go:build unix

package tianxia_test

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSecondServerOfARegistryRefusesToStart(t *testing.T) {
	for name, listen := range map[string]string{"over the registry's socket": "auto", "over TCP": "tcp://127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			dir := runFolder(t)
			one := launch(t, dir, "server", "-rpc.listen", listen)
			one.says("waits for gateways")
			two := launch(t, dir, "server", "-rpc.listen", listen)
			code, want := two.exit(), "server-1 (process "+strconv.Itoa(one.cmd.Process.Pid)+")"
			if code != 1 || !strings.Contains(two.all(), want) || !strings.Contains(two.all(), "-rpc.also") || strings.Contains(two.all(), "waits for gateways") {
				t.Errorf("the second ended with %d and said %q, want the name %q", code, two.all(), want)
			}
			launch(t, runFolder(t), "server").says("waits for gateways") // another registry, another world
			launch(t, dir, "server", "-rpc.listen", listen, "-rpc.also").says("waits for gateways")
			one.kill()
			if code := launch(t, dir, "server").exit(); code != 1 {
				t.Errorf("beside one that was started with -rpc.also, another ended with %d", code)
			}
		})
	}
}

func TestOneOfTwoServersThatStartTogetherRuns(t *testing.T) {
	dir := runFolder(t)
	a, b := launch(t, dir, "server"), launch(t, dir, "server")
	late := time.After(patience)
	select {
	case <-a.done:
		a, b = b, a
	case <-b.done:
	case <-late:
		t.Fatal("both run")
	}
	a.says("waits for gateways")
	if code := b.exit(); code != 1 || !strings.Contains(b.all(), "a world server runs already") {
		t.Errorf("the other ended with %d and said %q", code, b.all())
	}
}
