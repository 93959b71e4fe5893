//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/cloudwego/shmipc-go"
	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	handshakeLimit = 3 * time.Second
	maxPath        = 107 // bytes of a unix socket's address
	maxBacklog     = 1 << 30
)

// quiet turns off the library's log, which goes to standard output. It is one switch for the whole process.
var quiet = sync.OnceFunc(func() { shmipc.SetLogLevel(5) })

// settle checks cfg and fills in the defaults. BulkLanes below zero means none.
func settle(cfg *transport.Config) error {
	if cfg.MaxBacklog < 0 || cfg.MaxBacklog > maxBacklog {
		return fmt.Errorf("MaxBacklog of %d bytes: it must be between 0, for the default, and %d", cfg.MaxBacklog, maxBacklog)
	}
	if cfg.MaxBacklog == 0 {
		cfg.MaxBacklog = 16 << 20
	}
	if cfg.AllowUID == nil {
		cfg.AllowUID = sameUser
	}
	if cfg.SharedMemory == 0 {
		cfg.SharedMemory = defaultShared
	}
	switch {
	case cfg.BulkLanes == 0:
		cfg.BulkLanes = defaultBulk
	case cfg.BulkLanes < 0:
		cfg.BulkLanes = 0
	}
	if cfg.Refused == nil {
		cfg.Refused = func(string, error) {}
	}
	return geometry{shared: cfg.SharedMemory, bulk: cfg.BulkLanes}.check()
}

func checkPath(path string) error {
	if path == "" {
		return errors.New("the path of the socket is empty")
	}
	if len(path) > maxPath {
		return fmt.Errorf("the path of the socket has %d bytes, the system allows %d: use a shorter directory", len(path), maxPath)
	}
	return nil
}

// config for the library. The prefix names the memory: the library caches mappings by it, so that two connections of one name would share memory.
func (g geometry) config(ctx context.Context) (*shmipc.Config, error) {
	name, err := randomName()
	if err != nil {
		return nil, err
	}
	limit := handshakeLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Millisecond, time.Until(deadline))
	}
	return &shmipc.Config{
		ConnectionWriteTimeout: limit,
		InitializeTimeout:      limit,
		QueueCap:               queueCap,
		QueuePath:              name + ".queue",
		ShareMemoryBufferCap:   uint32(g.shared),
		ShareMemoryPathPrefix:  name,
		LogOutput:              io.Discard,
		BufferSliceSizes:       g.pairs(),
		MemMapType:             shmipc.MemMapTypeMemFd,
	}, nil
}

func randomName() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return "tianxia-" + hex.EncodeToString(b[:]), nil
}

// openSession makes the client's session. The library dials a socket of our own, so that both ends are in our hands before anything is said on it: the server's end is handed over on the
// control socket, and is a way to end the library's handshake, which otherwise goes on, after its timeout, on descriptors that are somebody else's by then.
func openSession(ctx context.Context, g geometry, control *net.UnixConn) (manager *shmipc.SessionManager, opposite int, err error) {
	cfg, err := g.config(ctx)
	if err != nil {
		return nil, -1, err
	}
	name, err := randomName()
	if err != nil {
		return nil, -1, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + name, Net: "unix"})
	if err != nil {
		return nil, -1, err
	}
	defer listener.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = listener.SetDeadline(deadline)
	}
	type outcome struct {
		manager *shmipc.SessionManager
		err     error
	}
	result := make(chan outcome, 1)
	go func() {
		manager, err := shmipc.NewSessionManager(&shmipc.SessionManagerConfig{Config: cfg, Network: "unix", Address: "@" + name, SessionNum: 1, MaxStreamNum: 1})
		if err != nil {
			_ = listener.Close() // in case it has not even dialled
		}
		result <- outcome{manager, err}
	}()
	opposite, err = acceptOwn(listener)
	if err == nil {
		err = sendControl(control, msgSocket, nil, opposite)
	}
	stop := hangUpAfter(ctx, opposite)
	if err != nil {
		hangUp(opposite)
	}
	got := <-result // the library has its own timeout, the same
	stopped := stop()
	if got.err != nil {
		err = errors.Join(err, got.err)
	}
	if !stopped {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		hangUp(opposite)
		if got.manager != nil {
			_ = got.manager.Close()
		}
		closeFD(opposite)
		return nil, -1, err
	}
	return got.manager, opposite, nil
}

// acceptOwn takes the connection of this process from a listener whose name others can see; the descriptor is not known to the runtime's poller, which would wake up for
// every event on it.
func acceptOwn(listener *net.UnixListener) (int, error) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return -1, err
		}
		pid, _, err := credentials(conn)
		if err != nil || pid != os.Getpid() {
			_ = conn.Close()
			continue
		}
		fd, err := duplicate(conn)
		_ = conn.Close()
		return fd, err
	}
}

func duplicate(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failed := -1, error(nil)
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, failed
}

// hangUp ends the library's handshake on either end of the socket: its blocking reads return.
func hangUp(fd int) {
	if fd >= 0 {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	}
}

// hangUpAfter hangs up when ctx ends. stop tells whether that did not happen; nobody uses fd any more when it returns, so that it can be closed.
func hangUpAfter(ctx context.Context, fd int) (stop func() bool) {
	hungUp := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(hungUp)
		hangUp(fd)
	})
	return func() bool {
		if cancel() {
			return true
		}
		<-hungUp
		return false
	}
}

// serveSession makes the server's session on the descriptor that the client sent.
func serveSession(ctx context.Context, g geometry, fd int) (*shmipc.Session, error) {
	file := os.NewFile(uintptr(fd), "shm")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("the client's descriptor: %w", err)
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: its descriptor is no unix socket", errControl)
	}
	cfg, err := g.config(ctx)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	stop := hangUpAfter(ctx, fd)
	sess, err := shmipc.Server(socket, cfg)
	if inTime := stop(); err == nil && !inTime {
		_ = sess.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		hangUp(fd)
		return nil, err
	}
	return sess, nil
}

// descriptors digs the socket and the two memory descriptors of a session out of the library, which has no way to ask: the socket to hand it to the peer, the others to
// close them when a program is executed.
func descriptors(sess *shmipc.Session) (socket int, memory []int, err error) {
	v := reflect.ValueOf(sess).Elem()
	socket, err = intField(v, "connFd")
	for _, manager := range []string{"bufferManager", "queueManager"} {
		if err != nil {
			break
		}
		p := v.FieldByName(manager)
		if p.Kind() != reflect.Pointer || p.IsNil() {
			return -1, nil, fmt.Errorf("the session has no %s: not version 0.2.0 of the library", manager)
		}
		var fd int
		fd, err = intField(p.Elem(), "memFd")
		memory = append(memory, fd)
	}
	return socket, memory, err
}

func intField(v reflect.Value, name string) (int, error) {
	f := v.FieldByName(name)
	if !f.IsValid() || f.Kind() != reflect.Int {
		return -1, fmt.Errorf("%s has no number %s: not version 0.2.0 of the library", v.Type(), name)
	}
	return int(f.Int()), nil
}

// private marks the session's descriptors to be closed in programs that are executed from here.
func private(sess *shmipc.Session) (socket int, err error) {
	socket, memory, err := descriptors(sess)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(socket)
	for _, fd := range memory {
		unix.CloseOnExec(fd)
	}
	return socket, nil
}
