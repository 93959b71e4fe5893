package sock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// The ends introduce themselves before anything else. The dialer speaks first; the listener answers, whatever it heard:
//
//	0       4         5      6      7        8
//	"TXRP"  version   form   step   length   reason: length bytes, with refused only
//
// The version is that of the preamble and of what follows on the socket. The form tells sockets that carry frames from those that serve another purpose.
const (
	magic       = "TXRP"
	version     = 1
	formStream  = 1
	preambleLen = 8
)

// Steps of the introduction. They differ, so that an echo, or a TCP socket that was connected to itself, is no peer.
const (
	stepHello   = 1 // of the dialer
	stepWelcome = 2 // of the listener
	stepRefused = 3 // of the listener
)

// preambleTimeout is what the introduction may take, TLS handshake included.
const preambleTimeout = 3 * time.Second

// preamble encodes one.
func preamble(step byte, reason string) []byte {
	reason = reason[:min(len(reason), maxReason)]
	return append([]byte{magic[0], magic[1], magic[2], magic[3], version, formStream, step, byte(len(reason))}, reason...)
}

// parsePreamble tells the step, and how many bytes of reason follow. An error is about what the other end is, to be read behind "it".
func parsePreamble(b [preambleLen]byte) (step byte, reason int, err error) {
	switch {
	case string(b[:4]) == magic:
	case b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3: // type and version of a TLS record
		return 0, 0, errors.New("speaks TLS, we do not")
	default:
		return 0, 0, fmt.Errorf("is not a Tianxia RPC peer: it began with %q", b[:])
	}
	switch {
	case b[4] != version:
		return 0, 0, fmt.Errorf("speaks version %d, we speak %d", b[4], version)
	case b[5] != formStream:
		return 0, 0, fmt.Errorf("wants a connection of form %d, this is form %d: is the address that of another transport?", b[5], formStream)
	case b[6] < stepHello || b[6] > stepRefused || b[7] > 0 && b[6] != stepRefused:
		return 0, 0, fmt.Errorf("is not a Tianxia RPC peer: it began with %q", b[:])
	}
	return b[6], int(b[7]), nil
}

// introduce is the dialer's part. It bounds itself in time.
func introduce(ctx context.Context, nc, sock net.Conn) error {
	var b [preambleLen]byte
	return within(ctx, sock, func() error {
		if _, err := nc.Write(preamble(stepHello, "")); err != nil {
			return silent(err)
		}
		if n, err := io.ReadFull(nc, b[:]); err != nil {
			if n > 0 && !strings.HasPrefix(magic, string(b[:min(n, len(magic))])) {
				return fmt.Errorf("%w: it is not a Tianxia RPC server: it said %q", transport.ErrPeerRefused, b[:n])
			}
			return silent(err)
		}
		step, length, err := parsePreamble(b)
		switch {
		case err != nil:
			return fmt.Errorf("%w: it %w", transport.ErrPeerRefused, err)
		case step == stepWelcome:
			return nil
		case step == stepHello:
			return fmt.Errorf("%w: it is not a Tianxia RPC server: it repeats what we say", transport.ErrPeerRefused)
		}
		reason := make([]byte, length)
		if _, err := io.ReadFull(nc, reason); err != nil {
			return fmt.Errorf("%w, and did not say why", transport.ErrPeerRefused)
		}
		return fmt.Errorf("%w: it says: %s", transport.ErrPeerRefused, printable(reason))
	})
}

// silent explains a peer that did not answer. That is no refusal: it may be frozen, or about to end.
func silent(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server did not introduce itself within %v: is it a Tianxia RPC server, and alive? %w", preambleTimeout, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("the server closed the connection without a word: it is about to end, or not a Tianxia RPC server: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// errProbe is a peer that went without a word: a probe for life, as of ListenUnix.
var errProbe = errors.New("went without a word")

// welcome is the listener's part. refuse, if not empty, is told to the peer, whoever it is.
func welcome(ctx context.Context, nc, sock net.Conn, refuse string) error {
	var b [preambleLen]byte
	return within(ctx, sock, func() error {
		if n, err := io.ReadFull(nc, b[:]); err != nil {
			switch {
			case n == 0 && errors.Is(err, io.EOF):
				return errProbe
			case errors.Is(err, os.ErrDeadlineExceeded):
				return fmt.Errorf("it did not introduce itself within %v: %w", preambleTimeout, err)
			case errors.Is(err, io.ErrUnexpectedEOF):
				return fmt.Errorf("it said %q and went", b[:n])
			}
			return err
		}
		step, _, err := parsePreamble(b)
		if err == nil && step != stepHello {
			err = fmt.Errorf("is not a Tianxia RPC client: it began with step %d", step)
		}
		switch {
		case refuse != "":
		case err != nil:
			refuse = "the client " + err.Error()
			err = fmt.Errorf("it %w", err)
		default:
			_, err = nc.Write(preamble(stepWelcome, ""))
			return err
		}
		if err == nil {
			err = errors.New(refuse)
		}
		_, _ = nc.Write(preamble(stepRefused, refuse)) // it is sent away in any case
		return err
	})
}

// within runs talk and cuts it short when ctx or the time for an introduction ends. When ctx has ended, its cause is the error. After an error the socket is
// fit for nothing.
func within(ctx context.Context, sock net.Conn, talk func() error) error {
	bounded, cancel := context.WithTimeout(ctx, preambleTimeout)
	defer cancel()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(bounded, func() {
		defer close(interrupted)
		_ = sock.SetDeadline(past())
	})
	err := talk()
	if !stop() {
		<-interrupted
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil { // at the last moment
			err = sock.SetDeadline(time.Time{})
		}
	}
	return err
}

// printable makes text of the peer fit for a log.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, string(b))
}
