package tianxia

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// whereabouts are the addresses that clients are told.
type whereabouts struct {
	web, tcp, plain string // host:port; the last two are empty if there is none
	busy            string // the address that was wanted for web, if another had to do
	login           bool   // accounts and tokens are to be had at web
}

// announceDev prints what a newcomer needs: what runs, and where to look.
func announceDev(w io.Writer, game string, at whereabouts, page bool) {
	fmt.Fprintf(w, "Tianxia %s · %s\n", Version(), game)
	fmt.Fprintln(w, "development mode: keys and tokens made for this run, nothing is stored")
	if at.busy != "" {
		fmt.Fprintf(w, "%s is busy, so this is another port\n", at.busy)
	}
	announceClients(w, at, page)
	fmt.Fprintln(w)
}

// announceClients prints where clients go.
func announceClients(w io.Writer, at whereabouts, page bool) {
	announcePage(w, at.web, page)
	width := len("game   ")
	if !page {
		width = len("clients   ")
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-*s%s\n", width, name, fmt.Sprintf(format, args...))
	}
	if at.login {
		line("login", "http://%s%s   (accounts and tokens for clients of your own)", reachable(at.web), loginPath)
	}
	if at.tcp != "" {
		line("TCP", "tcp://%s", at.tcp)
	}
	if at.plain != "" {
		line("PLAIN", "ws://%s/   NO ENCRYPTION: whoever is on the way reads and writes everything; for development only", at.plain)
	}
}

// announcePage prints where the page is, or the WebSocket if there is no page.
func announcePage(w io.Writer, addr string, page bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return
	}
	ip := net.ParseIP(host)
	everywhere := host == "" || ip != nil && ip.IsUnspecified()
	if !page {
		if everywhere {
			addr = net.JoinHostPort("localhost", port)
		}
		fmt.Fprintf(w, "\n  clients   ws://%s/ws   (this program has no page of its own)\n", addr)
		return
	}
	if everywhere {
		fmt.Fprintf(w, "\n  game   http://localhost:%s/\n", port)
		for _, a := range lanAddresses() {
			fmt.Fprintf(w, "  LAN    http://%s/   (plain http: the browser's own cryptography is off there, a slower one stands in)\n", net.JoinHostPort(a, port))
		}
	} else {
		fmt.Fprintf(w, "\n  game   http://%s/\n", addr)
	}
}

func lanAddresses() (list []string) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsPrivate() {
			list = append(list, ip.IP.String())
		}
	}
	return list
}

// status prints how the node is, once a second.
type status struct {
	node     *Node
	w        io.Writer
	terminal bool
	json     *json.Encoder
	last     NodeStats
	at       time.Time
	lines    int
}

// report is what -json-status prints.
type report struct {
	Players              int     `json:"players"`
	Entities             int     `json:"entities"`
	TickMsP50            float64 `json:"tick_ms_p50"`
	TickMsP99            float64 `json:"tick_ms_p99"`
	TickOverruns         uint64  `json:"tick_overruns"`
	BytesOutPerS         float64 `json:"bytes_out_per_s"`
	BytesPerEntityUpdate float64 `json:"bytes_per_entity_update"`
}

func (s *status) run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	s.last, s.at = s.node.Stats(), time.Now()
	for {
		select {
		case <-ctx.Done():
			if s.terminal && s.json == nil {
				fmt.Fprintln(s.w)
			}
			return
		case now := <-t.C:
			s.print(s.measure(now))
		}
	}
}

func (s *status) measure(now time.Time) report {
	cur, dt := s.node.Stats(), now.Sub(s.at).Seconds()
	r := report{
		Players: cur.Server.Players, Entities: cur.Server.Entities, TickOverruns: cur.Server.Overruns,
		TickMsP50: float64(cur.Server.StepP50.Microseconds()) / 1000, TickMsP99: float64(cur.Server.StepP99.Microseconds()) / 1000,
		BytesOutPerS: float64(int64(float64(cur.Gateway.BytesOut-s.last.Gateway.BytesOut) / dt)),
	}
	if n := cur.Gateway.PairTicks - s.last.Gateway.PairTicks; n > 0 {
		r.BytesPerEntityUpdate = float64(int64(float64(cur.Gateway.StateBytes-s.last.Gateway.StateBytes)/float64(n)*1000)) / 1000
	}
	s.last, s.at = cur, now
	return r
}

func (s *status) print(r report) {
	if s.json != nil {
		_ = s.json.Encode(r) // who closed our standard output does not read our complaint either
		return
	}
	s.lines++
	line := fmt.Sprintf("%d players · %d entities · tick p99 %.1f ms, %d late · %.1f kB/s", r.Players, r.Entities, r.TickMsP99, r.TickOverruns, r.BytesOutPerS/1000)
	if r.BytesPerEntityUpdate > 0 {
		line += fmt.Sprintf(" · %.2f B/entity", r.BytesPerEntityUpdate) // per visible entity and tick
	}
	switch {
	case s.terminal:
		fmt.Fprintf(s.w, "\r\x1b[K\x1b[?7l%s\x1b[?7h", line) // cut at the edge of a narrow terminal, never wrapped
	case s.lines%10 == 1: // a log needs no line a second
		fmt.Fprintln(s.w, line)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}
