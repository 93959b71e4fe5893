package gateway_test

import (
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// reader is the number of the goroutine that reads the only session's connection.
func reader(t *testing.T) string {
	t.Helper()
	buf := make([]byte, 1<<20)
	for part := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		head, _, _ := strings.Cut(part, "\n")
		if strings.Contains(part, "gateway.(*session).read(") && strings.Contains(head, "synctest bubble") { // one of another test may not have ended yet
			return regexp.MustCompile(`^goroutine (\d+)`).FindStringSubmatch(part)[1]
		}
	}
	t.Fatal("nobody reads")
	return ""
}

func TestReaderOfAQuietClientGoesOnWithASmallStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, nil)
		p := s.play(1)
		go readAll(p)
		synctest.Wait()
		before := reader(t)
		for range 5 {
			elapse(time.Second)
			p.send(protocol.AppendPing(nil, 1))
		}
		synctest.Wait()
		if reader(t) != before {
			t.Error("the reader of a busy client has been roused")
		}
		elapse(4 * time.Second)
		synctest.Wait()
		rested := reader(t)
		if rested == before {
			t.Error("the reader of a quiet client goes on with the stack that it has grown")
		}
		elapse(10 * time.Second)
		synctest.Wait()
		if reader(t) != rested {
			t.Error("a reader that has handled nothing has been roused")
		}
		p.send(protocol.AppendPush(nil, routeSay, nil))
		if u := s.up(link.FromClient); u.Conn != p.session {
			t.Errorf("the server hears %+v", u)
		}
	})
}
