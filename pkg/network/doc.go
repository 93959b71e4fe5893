// Package network is the connection layer under clients and gateways: connections that move whole messages, over WebSocket (Upgrade), or over TCP
// or TLS with a length in front of each message (Accept). Both give the same Conn, with the same limits.
// A message is opaque here (it is one record of the layer above): no encryption, no routes, no sessions.
//
// WebSocket's handshake and masking come from github.com/gobwas/ws; buffers, frames and system calls are ours, because the write
// system call is what a message costs. One read may bring many messages, and one Send is one non-blocking write. A connection that is quiet
// holds no read buffer if its server has a Pool.
//
// Listen makes a listener that a shortage of descriptors cannot end, and that knows the PROXY protocol of load balancers.
//
// # Goroutines
//
// A [Conn] has one reader (the only caller of Next and SetReadDeadline) and one flusher (the only caller of Send). Neither waits for the
// other, and Send never waits for the peer: when the kernel takes only part of a message, a transient writer goroutine finishes
// it and Send answers [ErrBusy] meanwhile. Close, Busy, Cause, Rouse and the counters may be called from anywhere.
//
// Run the reader in a goroutine of its own rather than in the HTTP handler that upgraded: the handler's goroutine keeps the request, its
// buffers and a deep stack alive. The reader's stack is most of what an idle connection costs: see [Conn.Rouse] for how to get rid of one that has grown.
//
// # Stopping
//
// A connection ends by Close, by a close frame, by a [Violation], by a failed read or write, or by a peer that takes nothing for
// WriteTimeout. The first cause wins and stays readable in Cause. However it ended, call Close: it waits for the transient writer, after
// which the package runs nothing on behalf of the connection. There is nothing to stop but connections and listeners.
package network
