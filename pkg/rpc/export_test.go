package rpc

import "github.com/tianxia-mmo/tianxia/pkg/rpc/mux"

// ConnOf is the connection behind a peer.
func ConnOf(p *Peer) *mux.Conn { return p.conn }
