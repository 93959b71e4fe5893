package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// printer writes for people, or one JSON object per line for programs. Any goroutine may call it.
type printer struct {
	mu    sync.Mutex
	w     io.Writer
	lines bool
}

// row is a line of the report, for people only.
func (p *printer) row(name, format string, a ...any) {
	if !p.lines {
		p.write(fmt.Sprintf("%-10s %s\n", name, fmt.Sprintf(format, a...)))
	}
}

// event is something that happened: text for people ("" is not printed), fields (name, value, …) for programs.
func (p *printer) event(name, text string, fields ...any) {
	if !p.lines {
		if text != "" {
			p.write(text + "\n")
		}
		return
	}
	o := map[string]any{"event": name, "time": time.Now().UTC().Format(time.RFC3339Nano)}
	for i := 0; i+1 < len(fields); i += 2 {
		o[fmt.Sprint(fields[i])] = fields[i+1]
	}
	b, err := json.Marshal(o)
	if err != nil {
		b = fmt.Appendf(nil, `{"event":"error","text":%q}`, err)
	}
	p.write(string(b) + "\n")
}

func (p *printer) write(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.w, s) // who closed the pipe wants no more
}

func took(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
