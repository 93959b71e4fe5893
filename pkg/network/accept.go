package network

import "net"

// Accept makes a connection with length-prefixed framing of an accepted TCP connection, or of a TLS connection over one, and owns it from here on
// unless it fails. Nothing is read or written before Next and Send: a TLS handshake runs in the first of them, so bound that Next with
// SetReadDeadline.
//
//	length uvarint, 1..MaxMessage, in its shortest form | message
//
// There are no control frames: no pings, and no close codes (see ErrNoCode).
func Accept(nc net.Conn, cfg Config) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	peer := peerOf(nc)
	socket, early := unwrap(nc)
	return newConn(socket, &cfg, origin{prefixed: true, early: early, peer: peer}), nil
}
