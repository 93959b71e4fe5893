package registry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

// childVariable makes the test binary a process that registers one instance in the folder that the variable names, says so, and lives until it is killed or its input ends.
const childVariable = "TIANXIA_TEST_REGISTRY_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func child(dir string) int {
	d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	i := registrytest.Sample("child", "world")
	i.Epoch = uint64(os.Getpid())
	if _, err := d.Register(context.Background(), i); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	d.Close()
	return 0
}

// process is a child.
type process struct {
	cmd   *exec.Cmd
	input io.Closer
	said  string // its first line
}

func start(t testing.TB, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	said, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the child says nothing: %v", err)
	}
	return &process{cmd, input, strings.TrimSpace(said)}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func TestKilledProcessDisappearsWithinASecond(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d := open(t, dir)
	w := watch(t, d)
	const rounds = 5
	var sum, most, reported time.Duration
	least := time.Hour
	for n := range rounds {
		p := start(t, dir)
		if p.said != "ready" {
			t.Fatal(p.said)
		}
		until(t, w, "the child comes", one(p.cmd.Process.Pid))
		p.kill()
		began := time.Now()
		if n == rounds-1 {
			d.Report("child", uint64(p.cmd.Process.Pid))
		}
		until(t, w, "the child goes", none)
		took := time.Since(began)
		if n == rounds-1 {
			reported = took
		}
		sum, most, least = sum+took, max(most, took), min(least, took)
	}
	t.Logf("gone after %v at most, %v on average, %v once reported", most, sum/rounds, reported)
	if least >= time.Second { // a busy machine may hold up one round or another
		t.Errorf("a killed process was seen for %v at least", least)
	}
	if files := names(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	// A lock file that a child has made and not taken yet is a leftover, too: the child makes another one.
	if s := d.Stats(); s.Reaped < rounds || s.Instances != 0 || s.Err != nil {
		t.Errorf("stats %+v", s)
	}
}

func TestSecondProcessOfAnIDIsRefusedWhileTheFirstLives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	first := start(t, dir)
	if first.said != "ready" {
		t.Fatal(first.said)
	}
	if second := start(t, dir); !strings.Contains(second.said, registry.ErrTaken.Error()) || !strings.Contains(second.said, "another id") {
		t.Errorf("the second says %q", second.said)
	}
	d := open(t, dir)
	if _, err := d.Register(t.Context(), registrytest.Sample("child")); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("register: %v", err)
	}
	w := watch(t, d)
	until(t, w, "the first is there", one(first.cmd.Process.Pid))

	first.kill()
	third := start(t, dir)
	if third.said != "ready" {
		t.Fatalf("the successor of a killed process says %q", third.said)
	}
	until(t, w, "the third is there", one(third.cmd.Process.Pid))
	third.input.Close() // ends in order
	until(t, w, "the third is gone", none)
}
