//go:build unix

package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// The load of a large zone's gateway, between two processes; see TestLoad. By default a phase is just long enough for a tick: nothing that its figures could be trusted for.
var load = flag.Duration("load", 60*time.Millisecond, "how long each phase of TestLoad takes; 5s measures")

const (
	inputsPerSecond = 20_000
	inputBytes      = 16
	ticksPerSecond  = 20
	batchBytes      = 64 << 10
	messagesPerTick = 100
	messageBytes    = 40
)

// phases of the load; a gateway learns of each by a message, and answers with a report at its end.
const (
	phaseIdle = iota
	phaseGenerators
	phaseUp
	phaseDown
	phaseBoth
	phaseQuick // both, and the server looks at once instead of once per tick
	phaseEnd
)

type report struct {
	CPU   time.Duration   // of the process
	Batch []time.Duration // from Send to Receive
	Msg   []time.Duration
	Sent  int // inputs accepted
	Full  int // and refused
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func stamp(size int) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 0, size), uint64(time.Now().UnixNano()))[:size]
}

func age(b []byte) time.Duration {
	return time.Duration(time.Now().UnixNano() - int64(binary.LittleEndian.Uint64(b)))
}

// generate is the gateway's side.
func generate(l Link) error {
	var (
		r     report
		phase = uint32(phaseIdle)
		began = cpu()
		downs []Down
		err   error
	)
	tick := time.NewTicker(time.Hour)
	var started time.Time
	for session, sent := uint64(0), 0; ; {
		select {
		case <-tick.C: // not finer than a millisecond
			for due := int(time.Since(started) * inputsPerSecond / time.Second); sent < due; sent++ {
				session++
				u := Up{Kind: FromClient, Conn: 1<<40 | session%5000, Route: 70, Payload: stamp(inputBytes)}
				if phase == phaseGenerators {
					continue
				}
				if l.Send(u) == nil {
					r.Sent++
				} else {
					r.Full++
				}
			}
			continue
		case <-l.Ready():
		}
		if downs, err = l.Receive(downs[:0]); errors.Is(err, ErrClosed) {
			return nil
		}
		for i := range downs {
			switch d := &downs[i]; {
			case d.Kind == Kick: // the next phase
				r.CPU = cpu() - began
				b, err := json.Marshal(r)
				if err != nil {
					return err
				}
				if err := l.Send(Up{Kind: CloseSession, Payload: b}); err != nil {
					return err
				}
				r, phase, began = report{}, d.ID, cpu()
				tick.Reset(time.Hour)
				if phase == phaseGenerators || phase == phaseUp || phase >= phaseBoth {
					tick.Reset(time.Millisecond)
					started, sent = time.Now(), 0
				}
			case d.Kind == Batch:
				r.Batch = append(r.Batch, age(d.Payload))
			default:
				r.Msg = append(r.Msg, age(d.Payload))
			}
		}
		clear(downs)
	}
}

// TestLoad puts a link under 20 batches of 64 KiB and 20,000 inputs per second, and wants everything that was accepted to arrive in the phase in which it was sent.
// Given time, it also measures: CPU of both processes, less what the generators take, and latency. Run it with
//
//	go test -run TestLoad -v ./pkg/link -load 5s
func TestLoad(t *testing.T) {
	for _, kind := range processTransports() {
		t.Run(kind, func(t *testing.T) {
			p := connect(t, kind, Config{}, mux.Config{})
			_, port := process(t, p, "load")
			var generators [2]time.Duration
			for phase := uint32(phaseIdle); phase < phaseEnd; phase++ {
				here, there := runPhase(t, port, phase)
				name := []string{"idle", "generators alone", "up", "down", "both", "both, server wakes at once"}[phase]
				if len(here.inputs) != there.Sent || len(there.Batch) != here.batches || len(there.Msg) != here.messages {
					t.Errorf("%s: %d of %d inputs, %d of %d batches and %d of %d messages arrived", name,
						len(here.inputs), there.Sent, len(there.Batch), here.batches, len(there.Msg), here.messages)
				}
				if phase == phaseGenerators {
					generators = [2]time.Duration{here.cpu, there.CPU}
				}
				percent := func(d time.Duration) float64 { return 100 * d.Seconds() / load.Seconds() }
				net := [2]time.Duration{here.cpu, there.CPU}
				if phase >= phaseDown {
					net[0] -= generators[0]
				}
				if phase == phaseUp || phase >= phaseBoth {
					net[1] -= generators[1]
				}
				t.Logf("%-27s CPU server %5.2f %% gateway %5.2f %%  %7d inputs p50 %v p99 %v  batches %d p50 %v p99 %v  messages p50 %v p99 %v  refused %d up, %d down",
					name, percent(net[0]), percent(net[1]), len(here.inputs), at(here.inputs, 50), at(here.inputs, 99), len(there.Batch), at(there.Batch, 50), at(there.Batch, 99),
					at(there.Msg, 50), at(there.Msg, 99), there.Full, here.refused)
			}
		})
	}
}

// served is what the server knows of a phase.
type served struct {
	cpu               time.Duration
	inputs            []time.Duration // from Send to Receive
	batches, messages int             // accepted
	refused           int
}

func at(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*percent/100].Round(time.Microsecond)
}

// runPhase is the server's side of a phase.
func runPhase(t *testing.T, port Port, phase uint32) (here served, there report) {
	next := func() { // ends the phase before: the answer is its report
		if err := port.Send(Down{Kind: Kick, ID: phase}); err != nil {
			t.Fatal(err)
		}
	}
	var ups []Up
	reports := 0
	drain := func() {
		var err error
		if ups, err = port.Receive(ups[:0]); err != nil {
			t.Fatal(err)
		}
		for i := range ups {
			if ups[i].Kind == CloseSession {
				if reports++; reports == 2 {
					if err := json.Unmarshal(ups[i].Payload, &there); err != nil {
						t.Fatal(err)
					}
				}
				continue
			}
			here.inputs = append(here.inputs, age(ups[i].Payload))
		}
		clear(ups)
	}
	next()
	began := cpu()
	tick, over := time.NewTicker(time.Second/ticksPerSecond), time.After(*load)
	defer tick.Stop()
	for running := true; running; {
		var ready <-chan struct{}
		if phase == phaseQuick {
			ready = port.Ready()
		}
		select {
		case <-over:
			running = false
		case <-ready:
			drain()
		case <-tick.C:
			drain()
			if phase == phaseGenerators || phase >= phaseDown {
				for i := range messagesPerTick + 1 {
					d := Down{Kind: ToClient, Conn: 1<<40 | uint64(i), Type: 2, Route: 70, Payload: stamp(messageBytes)}
					if i == 0 {
						d = Down{Kind: Batch, Zone: 1, Payload: stamp(batchBytes)}
					}
					switch {
					case phase == phaseGenerators:
					case port.Send(d) != nil:
						here.refused++
					case i == 0:
						here.batches++
					default:
						here.messages++
					}
				}
			}
		}
	}
	here.cpu = cpu() - began
	phase = phaseIdle
	next()
	for reports < 2 {
		<-port.Ready()
		drain()
	}
	return here, there
}
