package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// leftovers are what this process holds, and what lies in /dev/shm.
type leftovers struct {
	fds        map[string]int // open descriptors by what they lead to
	mapped     uint64         // bytes of memory files in the address space
	files      map[string]uint64
	goroutines int
	shmem      uint64 // of the whole machine
}

func (l leftovers) descriptors() (n int) {
	for _, count := range l.fds {
		n += count
	}
	return n
}

// look reads /proc.
func look() (leftovers, error) {
	l := leftovers{fds: map[string]int{}, files: map[string]uint64{}, goroutines: runtime.NumGoroutine()}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return l, err
	}
	for _, fd := range open {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil {
			continue // the descriptor of the folder itself
		}
		kind, _, _ := strings.Cut(target, ":[") // sockets and pipes have a number each
		l.fds[kind]++
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return l, err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "memfd:") || strings.Contains(line, "/dev/shm/") {
			span, _, _ := strings.Cut(line, " ")
			from, to, _ := strings.Cut(span, "-")
			low, _ := strconv.ParseUint(from, 16, 64)
			high, _ := strconv.ParseUint(to, 16, 64)
			l.mapped += high - low
		}
	}
	files, err := os.ReadDir("/dev/shm")
	if err != nil && !os.IsNotExist(err) {
		return l, err
	}
	for _, file := range files {
		if info, err := file.Info(); err == nil && !strings.HasPrefix(file.Name(), ".") {
			l.files[file.Name()] = uint64(info.Size())
		}
	}
	l.shmem, err = shmem()
	return l, err
}

// shmem is what the machine's memory files hold, in bytes: those that no process maps any more, but some process still has open, included.
func shmem() (uint64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "Shmem:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no line Shmem")
}

// settle waits until nothing shrinks any more, or until no more is left than before: connections that were closed take a moment to be gone.
func (s *survivor) settle(ctx context.Context, before leftovers) (leftovers, error) {
	const rest, limit = 100 * time.Millisecond, 10 * time.Second
	var last leftovers
	for over := time.Now().Add(limit); ; {
		runtime.GC() // finalizers close what was forgotten, and thereby show it
		now, err := look()
		if err != nil {
			return now, err
		}
		same := now.goroutines == last.goroutines && now.mapped == last.mapped && maps.Equal(now.fds, last.fds)
		within := now.goroutines <= before.goroutines && now.mapped <= before.mapped && now.descriptors() <= before.descriptors()
		if same && (within || before.fds == nil) || time.Now().After(over) {
			return now, nil
		}
		last = now
		if !pause(ctx, rest) {
			return now, ctx.Err()
		}
	}
}

// leaks compares with the beginning.
func (s *survivor) leaks(ctx context.Context) (measure.Reply, error) {
	now, err := s.settle(ctx, s.before)
	if err != nil {
		return measure.Reply{}, err
	}
	return s.compare(now), nil
}

// compare tells what is there now and was not before.
func (s *survivor) compare(now leftovers) measure.Reply {
	more := func(now, before uint64) uint64 { return now - min(now, before) }
	values := map[string]uint64{
		leakedShm:   more(now.mapped, s.before.mapped),
		leakedFds:   more(uint64(now.descriptors()), uint64(s.before.descriptors())),
		leakedRuns:  more(uint64(now.goroutines), uint64(s.before.goroutines)),
		shmemGrowth: now.shmem - s.before.shmem,
	}
	var about []string
	for name, size := range now.files {
		if _, was := s.before.files[name]; !was {
			values[leakedShm] += size
			about = append(about, fmt.Sprintf("/dev/shm/%s, %d bytes", name, size))
		}
	}
	for kind, n := range now.fds {
		if n > s.before.fds[kind] {
			about = append(about, fmt.Sprintf("%d descriptors of %s, %d before", n, kind, s.before.fds[kind]))
		}
	}
	if values[leakedRuns] > 0 {
		var stacks bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		about = append(about, stacks.String())
	}
	return measure.Reply{Values: values, Note: strings.Join(about, "\n")}
}
