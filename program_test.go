package tianxia_test

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// programVariable makes the test binary the program of the sample game: tests of processes start it again, as mmo, server or gateway.
const programVariable = "TIANXIA_TEST_PROGRAM"

// exitOrphan is how a program ends whose test has gone.
const exitOrphan = 99

func TestMain(m *testing.M) {
	if code, err := strconv.Atoi(os.Getenv("TIANXIA_TEST_EXIT")); err == nil { // a child that ends like this
		os.Exit(code)
	}
	if name := os.Getenv(programVariable); name != "" {
		if !slices.Contains(os.Args, "-supervised") { // those look themselves
			go func() { // the test has died without its cleanups
				_, _ = io.Copy(io.Discard, os.Stdin)
				os.Exit(exitOrphan)
			}()
		}
		program(name).Main()
	}
	os.Exit(m.Run())
}

func program(name string) tianxia.App {
	walkers := 50
	a := tianxia.App{
		Name:  name,
		Flags: func(fs *flag.FlagSet) { fs.IntVar(&walkers, "walkers", walkers, "number of `walkers`") },
		New: func(bots int) (*game.Game, []game.Config, error) {
			if walkers < 0 {
				return nil, nil, &tianxia.UsageError{Message: "-walkers: need 0 or more"}
			}
			return plains.New(plains.Config{Walkers: walkers}), []game.Config{{Seed: 1, Width: plains.SideFor(walkers + bots)}}, nil
		},
		Bot: bot.Play,
	}
	if name != "mmo" {
		a.Only = name
	}
	return a
}

// process is a program that a test has started.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.Closer // its standard input
	done chan struct{}

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed at the next line
}

// runFolder is where the processes of a test find each other. The names of sockets in it are bounded, which t.TempDir's are not.
func runFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// launch starts a program whose processes find each other in dir; it is killed at the end of the test.
func launch(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), programVariable+"="+name, "TIANXIA_RUN_DIR="+dir)
	p.cmd.Dir = t.TempDir() // any folder will do
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	go func() {
		_ = p.cmd.Wait()
		_ = w.Close()
		<-heard // who has seen the end finds the last words
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if strings.Contains(p.all(), "DATA RACE") {
			t.Errorf("%s %q has a data race", name, args)
		}
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Logf("%s %q printed:\n\t%s", name, args, strings.Join(p.lines, "\n\t"))
		}
	})
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%q does not end", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits for a line that matches and returns its first group, or all of it.
func (p *process) says(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for at := 0; ; {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		for ; at < len(lines); at++ {
			if m := re.FindStringSubmatch(lines[at]); m != nil {
				return m[len(m)-1]
			}
		}
		select {
		case <-more:
		case <-late:
			p.t.Fatalf("%q never said %q", p.cmd.Args, pattern)
		}
	}
}

// all is what it has printed so far.
func (p *process) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// page is the URL that a gateway printed.
func (p *process) page() string {
	p.t.Helper()
	return "http://" + p.says(`(?:clients +ws|game +http)://([^/ ]+)/`) + "/"
}

// freePort is an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// player plays through a gateway of another process until the test ends it. It counts what it sees.
type player struct {
	*client.Client
	states chan uint32 // zone ticks of the state frames, while the own avatar is there
	ended  chan error
}

// join logs a player in, trying on while the gateway or its server is away.
func joinPage(t *testing.T, page string) *player {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c, err := tryJoin(ctx, page)
		if err == nil {
			t.Cleanup(func() { _ = c.Close(); <-c.ended })
			return c
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody could join %s: %v", page, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func tryJoin(ctx context.Context, page string) (*player, error) {
	cfg, err := tianxia.DevLogin(ctx, page, "tester")
	if err != nil {
		return nil, err
	}
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		return nil, err
	}
	cfg.Reconnect.Off = true // the end of a connection is to be seen
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return serving(c), nil
}

// serving has a client play.
func serving(c *client.Client) *player {
	p := &player{Client: c, states: make(chan uint32, 1<<16), ended: make(chan error, 1)}
	go func() {
		p.ended <- c.Serve(client.Handler{State: func() {
			if _, ok := c.Own(); ok {
				select {
				case p.states <- c.Mirror.Rows[0].Tick:
				default:
				}
			}
		}})
		close(p.ended)
	}()
	return p
}

// plays waits until n state frames more have come.
func (p *player) plays(t *testing.T, n int) {
	t.Helper()
	late := time.After(patience)
	for range n {
		select {
		case <-p.states:
		case err := <-p.ended:
			t.Fatalf("the player's connection ended: %v", err)
		case <-late:
			t.Fatal("the world does not go on")
		}
	}
}

// end waits for the end of the player's connection.
func (p *player) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the player was not told")
		return nil
	}
}
