package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// Commands that a measured process is given, one JSON object a line; it answers each with one line. It ends when its input does.
const (
	DoRun   = "run"   // run a cell; Result is filled
	DoUsage = "usage" // tell Usage
	DoCalm  = "calm"  // collect garbage, so that a cell does not pay for the one before
)

// Request is a command. Fields beyond Do belong to the commands that use them.
type Request struct {
	Do string `json:"do"`
	Cell
	// Args are for commands of one program.
	Args []string `json:"args,omitempty"`
}

// Reply answers a Request; the first line of a measured process is one too and says that it is ready.
type Reply struct {
	Error  string  `json:"error,omitempty"`
	Ready  string  `json:"ready,omitempty"`  // the address served or connected to
	AtNS   int64   `json:"at_ns,omitempty"`  // wall clock when it became ready, nanoseconds since 1970
	Result *Result `json:"result,omitempty"` // DoRun
	Usage  *Usage  `json:"usage,omitempty"`  // DoUsage

	// Commands of one program say more:
	Note     string             `json:"note,omitempty"`
	Values   map[string]uint64  `json:"values,omitempty"`
	Samples  map[string][]int64 `json:"samples,omitempty"`
	Problems []string           `json:"problems,omitempty"`
}

// Serve tells that the process is ready and answers requests until the input ends. It knows DoUsage and DoCalm itself; all others go to handle, one at a time.
func Serve(in io.Reader, out io.Writer, ready Reply, handle func(Request) (Reply, error)) error {
	encoder := json.NewEncoder(out)
	if err := encoder.Encode(ready); err != nil {
		return fmt.Errorf("say that the process is ready: %w", err)
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var request Request
		var reply Reply
		err := json.Unmarshal(lines.Bytes(), &request)
		if err == nil {
			switch request.Do {
			case DoUsage:
				used := Used()
				reply.Usage = &used
			case DoCalm:
				runtime.GC()
			default:
				reply, err = handle(request)
			}
		}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := encoder.Encode(reply); err != nil {
			return fmt.Errorf("answer %q: %w", request.Do, err)
		}
	}
	return lines.Err()
}
