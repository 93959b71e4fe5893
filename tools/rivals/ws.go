package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// wsBench is -mode=ws: the connection layer against WebSocket libraries. The server and the client of each system are processes of their own, the processor time is
// the server's (getrusage), and systems take turns in every run, so that what disturbs the machine disturbs all.
type wsBench struct {
	runs      int
	duration  time.Duration // of one echo measurement
	conns     int           // of the echo
	receivers int           // of the broadcast
	idle      int           // connections whose memory is counted
	json      bool
}

func (b *wsBench) check() error {
	if b.runs < 1 || b.duration <= 0 || b.conns < 1 || b.receivers < 0 || b.idle < 0 {
		return errors.New("-runs and -conns need 1 or more, -duration a time above 0, -receivers and -idle 0 (leave out) or more")
	}
	return nil
}

// wsFigures are all samples of a measurement, one of each run.
type wsFigures struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Target  string    `json:"target,omitempty"`
	Samples []float64 `json:"samples"`
}

func (b *wsBench) run(ctx context.Context, stdout io.Writer) error {
	var figures []*wsFigures
	record := func(name, unit, target string, value float64) {
		i := slices.IndexFunc(figures, func(f *wsFigures) bool { return f.Name == name })
		if i < 0 {
			i = len(figures)
			figures = append(figures, &wsFigures{Name: name, Unit: unit, Target: target})
		}
		figures[i].Samples = append(figures[i].Samples, value)
	}
	for _, measure := range []func(context.Context, recorder) error{b.echoes, b.broadcasts, b.memory} {
		if err := measure(ctx, record); err != nil {
			return err
		}
	}
	if b.json {
		return json.NewEncoder(stdout).Encode(figures)
	}
	for _, f := range figures {
		slices.Sort(f.Samples)
		n := len(f.Samples)
		median := (f.Samples[(n-1)/2] + f.Samples[n/2]) / 2
		fmt.Fprintf(stdout, "%-64s %9.2f %-13s (%.2f to %.2f, %d runs) %s\n", f.Name, median, f.Unit, f.Samples[0], f.Samples[n-1], n, f.Target)
	}
	return nil
}

type recorder func(name, unit, target string, value float64)

const (
	echoPayload    = 64
	pipelined      = 8
	broadcastBytes = 200
	broadcastTimes = 10 // in one measurement
)

// echoes measures the server's processor time of a message of 64 bytes and its answer.
func (b *wsBench) echoes(ctx context.Context, record recorder) error {
	systems := []string{systemSealed, systemPlain, systemGWS}
	pairs, stop, err := startAll(ctx, systems, b.conns)
	if err != nil {
		return err
	}
	defer stop()
	for _, depth := range []int{pipelined, 1} {
		what := fmt.Sprintf("echo %d B, %d in flight: ", echoPayload, depth)
		for run := range b.runs + 1 {
			cost, mallocs := map[string]float64{}, map[string]float64{}
			for _, p := range pairs {
				before, err := p.server.ask(measure.Request{Do: measure.DoUsage})
				if err != nil {
					return err
				}
				r, err := p.client.ask(measure.Request{Do: doEcho, Cell: measure.Cell{Payload: echoPayload, Callers: depth, Duration: b.duration}})
				if err != nil {
					return err
				}
				after, err := p.server.ask(measure.Request{Do: measure.DoUsage})
				if err != nil {
					return err
				}
				used, n := after.Usage.Sub(*before.Usage), float64(r.Values["messages"])
				cost[p.system], mallocs[p.system] = float64(used.CPU.Nanoseconds())/n, float64(used.Mallocs)/n
			}
			if run == 0 {
				continue // warm
			}
			for _, p := range pairs {
				record(what+p.system, "ns CPU/msg", "", cost[p.system])
				record(what+p.system+" allocations", "allocs/msg", "", mallocs[p.system])
			}
			target := ""
			if depth == pipelined {
				target = "target >= 3"
			}
			record(what+"sealed against bare gws", "x msgs/CPU-s", target, cost[systemGWS]/cost[systemSealed])
			target = ""
			if depth == pipelined {
				target = "target <= 1.35"
			}
			record(what+"sealed against plain", "x CPU", target, cost[systemSealed]/cost[systemPlain])
		}
	}
	return nil
}

// broadcasts measures the server's processor time of one message to one of very many connections.
func (b *wsBench) broadcasts(ctx context.Context, record recorder) error {
	if b.receivers == 0 {
		return nil
	}
	pairs, stop, err := startAll(ctx, []string{systemSealed, systemPlain, systemGobwas}, b.receivers)
	if err != nil {
		return err
	}
	defer stop()
	what := fmt.Sprintf("broadcast %d B to %d: ", broadcastBytes, b.receivers)
	for run := range b.runs + 1 { // the first warms up
		cost := map[string]float64{}
		for _, p := range pairs {
			r, err := p.server.ask(measure.Request{Do: doBroadcast, Cell: measure.Cell{Payload: broadcastBytes}, Args: []string{strconv.Itoa(broadcastTimes)}})
			if err != nil {
				return err
			}
			if r.Values["busy"] > 0 {
				return fmt.Errorf("%s: %d sends found the connection busy", p.system, r.Values["busy"])
			}
			if _, err := p.client.ask(measure.Request{Do: doReceive, Args: []string{strconv.Itoa(broadcastTimes)}}); err != nil {
				return err
			}
			cost[p.system] = float64(r.Values["cpu_ns"]) / float64(r.Values["sends"])
		}
		if run == 0 {
			continue
		}
		for _, p := range pairs {
			record(what+p.system, "ns CPU/send", "", cost[p.system])
		}
		record(what+"sealed against a bare gobwas compiled frame", "x CPU", "target <= 1.15", cost[systemSealed]/cost[systemGobwas])
	}
	return nil
}

// memory measures what an idle connection costs the server's process. The kernel's part of a socket is no part of that.
func (b *wsBench) memory(ctx context.Context, record recorder) error {
	if b.idle == 0 {
		return nil
	}
	for range b.runs {
		for _, system := range wsSystems {
			err := func() error {
				pairs, stop, err := startAll(ctx, []string{system}, 10)
				if err != nil {
					return err
				}
				defer stop()
				p := pairs[0]
				before, err := p.server.ask(measure.Request{Do: doMemory})
				if err != nil {
					return err
				}
				if _, err := p.client.ask(measure.Request{Do: doConnect, Args: []string{strconv.Itoa(b.idle)}}); err != nil {
					return err
				}
				// Each has been used once.
				if _, err := p.client.ask(measure.Request{Do: doEcho, Cell: measure.Cell{Payload: echoPayload, Callers: 1, Duration: b.duration}}); err != nil {
					return err
				}
				after, err := p.server.ask(measure.Request{Do: doMemory})
				if err != nil {
					return err
				}
				conns := after.Values["conns"] - before.Values["conns"]
				for _, part := range []string{"rss", "heap", "stack"} {
					each := (float64(after.Values[part]) - float64(before.Values[part])) / float64(conns)
					record(fmt.Sprintf("idle, %d connections: %s %s", b.idle, system, part), "B/conn", "", each)
				}
				return nil
			}()
			if err != nil {
				return fmt.Errorf("%s: %w", system, err)
			}
		}
	}
	return nil
}

// wsPair is the server and the client process of a system.
type wsPair struct {
	system         string
	server, client *wsProcess
}

// startAll starts server and client of each system, with so many connections between them. stop ends the processes and waits for them.
func startAll(ctx context.Context, systems []string, conns int) (pairs []wsPair, stop func(), err error) {
	var processes []*wsProcess
	stop = func() {
		for _, p := range slices.Backward(processes) {
			_ = p.in.Close()
			_ = p.cmd.Wait()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	for _, system := range systems {
		server, ready, err := startProcess(ctx, "-role=server", "-system="+system, "-endpoint=127.0.0.1:0")
		if err != nil {
			return nil, stop, err
		}
		processes = append(processes, server)
		client, _, err := startProcess(ctx, "-role=client", "-system="+system, "-endpoint="+ready.Ready, "-cert="+ready.Note)
		if err != nil {
			return nil, stop, err
		}
		processes = append(processes, client)
		if _, err := client.ask(measure.Request{Do: doConnect, Args: []string{strconv.Itoa(conns)}}); err != nil {
			return nil, stop, fmt.Errorf("%s: connect: %w", system, err)
		}
		pairs = append(pairs, wsPair{system: system, server: server, client: client})
	}
	return pairs, stop, nil
}

// wsProcess is this program again, in a role. It ends when its standard input does.
type wsProcess struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startProcess(ctx context.Context, args ...string) (*wsProcess, measure.Reply, error) {
	var ready measure.Reply
	self, err := os.Executable()
	if err != nil {
		return nil, ready, err
	}
	p := &wsProcess{cmd: exec.CommandContext(ctx, self, args...)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, ready, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, ready, err
	}
	p.lines = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, ready, err
	}
	ready, err = p.answer()
	return p, ready, err
}

func (p *wsProcess) ask(r measure.Request) (measure.Reply, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return measure.Reply{}, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return measure.Reply{}, err
	}
	return p.answer()
}

func (p *wsProcess) answer() (reply measure.Reply, err error) {
	if !p.lines.Scan() {
		return reply, errors.Join(errors.New("the process ended"), p.lines.Err())
	}
	if err := json.Unmarshal(p.lines.Bytes(), &reply); err != nil {
		return reply, err
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}
