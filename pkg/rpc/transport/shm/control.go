//go:build linux && (amd64 || arm64)

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Messages on the control socket, little-endian: u32 magic, u8 protocol, u8 kind, u16 length of the body, body.
//
//	client                       server
//	hello (sizes)            →
//	                         ←   welcome, or refused (reason)
//	socket (descriptor: the
//	  server's end)          →   the library's own handshake happens on that socket
//	opposite (descriptor:
//	  the client's end)      →
//	  first blocks of all lanes, through shared memory
//	                         ←   armed: the callbacks are set
//	  start blocks, both ways
//	                         ←   ready
//	bye (counts, reason)     ↔   at the end
const (
	controlMagic    = 0x43535854 // "TXSC"
	controlProtocol = 1
	controlHeader   = 8
	maxControlBody  = 1 << 10

	msgHello    = 1
	msgWelcome  = 2
	msgRefused  = 3
	msgSocket   = 4
	msgOpposite = 5
	msgArmed    = 6
	msgReady    = 7
	msgBye      = 8
)

var errControl = errors.New("rpc shm: the peer does not speak this protocol")

// parseControl reads the header of a message.
func parseControl(b []byte) (kind byte, length int, err error) {
	if len(b) < controlHeader || binary.LittleEndian.Uint32(b) != controlMagic {
		return 0, 0, fmt.Errorf("%w: not a Tianxia shared memory endpoint", errControl)
	}
	if b[4] != controlProtocol {
		return 0, 0, fmt.Errorf("%w: it has version %d, this side has %d: run the same release on both", errControl, b[4], controlProtocol)
	}
	kind, length = b[5], int(binary.LittleEndian.Uint16(b[6:]))
	if kind < msgHello || kind > msgBye || length > maxControlBody {
		return 0, 0, fmt.Errorf("%w: message %d of %d bytes", errControl, kind, length)
	}
	return kind, length, nil
}

// sendControl sends one message and the descriptors that go with it.
func sendControl(conn *net.UnixConn, kind byte, body []byte, fds ...int) error {
	b := make([]byte, controlHeader, controlHeader+len(body))
	binary.LittleEndian.PutUint32(b, controlMagic)
	b[4], b[5] = controlProtocol, kind
	binary.LittleEndian.PutUint16(b[6:], uint16(len(body)))
	b = append(b, body...)
	if len(fds) == 0 {
		_, err := conn.Write(b)
		return err
	}
	n, _, err := conn.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if err == nil && n < len(b) {
		_, err = conn.Write(b[n:])
	}
	return err
}

// receiveControl reads one message. fd is -1, or the one descriptor that came with it, which the caller has to close.
func receiveControl(conn *net.UnixConn) (kind byte, body []byte, fd int, err error) {
	head := make([]byte, controlHeader)
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(head, oob)
	if err == nil && n == 0 {
		err = io.EOF
	}
	fd, badFD := oneDescriptor(oob[:oobn])
	fail := func(err error) (byte, []byte, int, error) {
		closeFD(fd)
		return 0, nil, -1, err
	}
	if err = errors.Join(err, badFD); err != nil {
		return fail(err)
	}
	if _, err = io.ReadFull(conn, head[n:]); err != nil {
		return fail(err)
	}
	kind, length, err := parseControl(head)
	if err != nil {
		return fail(err)
	}
	body = make([]byte, length)
	if _, err = io.ReadFull(conn, body); err != nil {
		return fail(err)
	}
	return kind, body, fd, nil
}

// expectControl reads one message of the kind wanted; with a descriptor exactly if withFD is set.
func expectControl(conn *net.UnixConn, wanted byte, withFD bool) (body []byte, fd int, err error) {
	kind, body, fd, err := receiveControl(conn)
	switch {
	case err != nil:
		return nil, -1, err
	case kind == msgRefused:
		err = fmt.Errorf("%w: %s", transport.ErrPeerRefused, printable(body))
	case kind != wanted:
		err = fmt.Errorf("%w: message %d instead of %d", errControl, kind, wanted)
	case withFD != (fd >= 0):
		err = fmt.Errorf("%w: message %d, descriptor: %t", errControl, kind, fd >= 0)
	}
	if err != nil {
		closeFD(fd)
		return nil, -1, err
	}
	return body, fd, nil
}

func oneDescriptor(oob []byte) (int, error) {
	if len(oob) == 0 {
		return -1, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, err
	}
	fd, extra := -1, 0
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, got := range fds {
			if fd < 0 {
				fd = got
				continue
			}
			closeFD(got)
			extra++
		}
	}
	if extra > 0 {
		closeFD(fd)
		return -1, fmt.Errorf("%w: %d descriptors in one message", errControl, 1+extra)
	}
	return fd, nil
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// printable makes a peer's text fit for a log line.
func printable(b []byte) string {
	out := []rune{}
	for _, r := range string(b) {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}

// The body of hello: u8 architecture, u8 0, u16 bulk lanes, u32 bytes of the mapping, u32 stride of lane 0, u32 stride of the others, u32 queue length. The first and the last three must
// be the same on both ends; the lanes and the mapping are the client's choice.
const helloBody = 20

func architecture() byte {
	if runtime.GOARCH == "arm64" {
		return 2
	}
	return 1
}

func appendHello(b []byte, g geometry) []byte {
	b = append(b, architecture(), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(g.bulk))
	for _, v := range []uint32{uint32(g.shared), smallStride, bulkStride, queueCap} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func parseHello(b []byte) (geometry, error) {
	if len(b) != helloBody {
		return geometry{}, fmt.Errorf("%w: hello of %d bytes", errControl, len(b))
	}
	if b[0] != architecture() {
		return geometry{}, fmt.Errorf("%w: it is built for another processor, whose layout of the memory differs: use a unix endpoint", errControl)
	}
	for i, want := range []uint32{smallStride, bulkStride, queueCap} {
		if got := binary.LittleEndian.Uint32(b[8+4*i:]); got != want {
			return geometry{}, fmt.Errorf("%w: size %d is %d, here it is %d: run the same release on both", errControl, i, got, want)
		}
	}
	g := geometry{shared: int(binary.LittleEndian.Uint32(b[4:])), bulk: int(binary.LittleEndian.Uint16(b[2:]))}
	return g, g.check()
}

// bye is what a side says at the end. Everything it sent before is in the memory already.
type bye struct {
	sent   []uint64 // data blocks, per lane
	reason string   // empty: closed on purpose
}

// The body of bye: u8 lanes, u64 for each, text.
func (y bye) append(b []byte) []byte {
	b = append(b, byte(len(y.sent)))
	for _, n := range y.sent {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return append(b, y.reason[:min(len(y.reason), maxControlBody-len(b))]...)
}

func parseBye(b []byte, lanes int) (bye, error) {
	if len(b) < 1 || int(b[0]) != lanes || len(b) < 1+8*lanes {
		return bye{}, fmt.Errorf("%w: bye of %d bytes", errControl, len(b))
	}
	var y bye
	for i := range lanes {
		y.sent = append(y.sent, binary.LittleEndian.Uint64(b[1+8*i:]))
	}
	y.reason = printable(b[1+8*lanes:])
	return y, nil
}

// credentials of the process at the other end of a unix socket.
func credentials(conn *net.UnixConn) (pid, uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, -1, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, -1, err
	}
	if failed != nil {
		return 0, -1, fmt.Errorf("read the credentials of the peer: %w", failed)
	}
	return int(cred.Pid), int(cred.Uid), nil
}

func sameUser(uid int) bool { return uid == os.Geteuid() || uid == 0 }
