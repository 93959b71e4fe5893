// Package rpc is calls and streams between processes: over shared memory or a socket on one machine, TCP or TLS between machines, and inside one process in
// tests.
//
//	srv, _ := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"unix:///run/world.sock"}})
//	rpc.Handle(srv, "world.Move", func(ctx context.Context, m *pb.MoveReq) (*pb.MoveResp, error) { … })
//	err := srv.Serve(ctx)
//
//	cli, _ := rpc.NewClient(rpc.ClientConfig{Endpoint: "unix:///run/world.sock"})
//	resp, err := rpc.Call[pb.MoveResp](ctx, cli, "world.Move", &pb.MoveReq{X: 1})
//
// # Who finds whom
//
// A server serves methods, whose names begin with that of a service, and tells a registry. A client names a service and keeps a connection to each instance, or
// names one endpoint. It connects in the background, with pauses of 10 ms growing to 1 s, for as long as it is open. On one machine it tries shared memory
// first and the socket behind it in the same attempt, between machines TCP or TLS; what was refused, and why, is in Stats and in one line of the log.
// Connections serve both directions: a Client registers handlers too, and PeerFrom gives a handler its caller to call back.
//
// # Goroutines
//
// Clients, servers and peers may be used from any goroutine. A client has a goroutine per instance and per connection and one that watches the registry; a
// server one per endpoint and per connection; the connections have their own, see package mux. Close ends all of them and waits, but for handlers that ignore
// their context; it must not be called by what it waits for. Handlers run on goroutines of their connection, Inline ones on its reader.
//
// # What a failure means
//
// Every error of a call is an *Error with a code, as in gRPC, and a Fate: the peer answered; or it was certainly not sent (errors.Is(err, status.ErrNotSent));
// or nobody knows (status.ErrMaybeExecuted). A client repeats a call that was not sent, and an Idempotent one also when nobody knows, on another instance if
// there is one, up to MaxAttempts, within the RetryBudget and the call's time. It never repeats what was answered, whatever the code. A call that meets a
// connection on its way out passes on to another without being counted as an attempt. While nothing is connected, calls wait as long as their time allows,
// ConnectTimeout if they have none, and then fail with UNAVAILABLE and the reason of the last attempt to connect. A connection that is lost fails its calls at
// once. Limits of calls in flight answer at once, with RESOURCE_EXHAUSTED.
//
// One-way messages that were handed over may be lost with the connection; so may a stream, which is not repeated.
//
// # Stopping and hot restart
//
// Drain, and Serve when its context ends, says goodbye first: the registry shows the instance as draining, nobody new is let in, clients are asked to make no
// new calls, and close their connection when they have the answers to those they made. To replace a process without losing a call, start the new one beside it
// under another id and another socket path (ServerConfig.ID and Endpoints; a pid or a counter in both does), wait until it serves, and end the context of the
// old one's Serve. A process that takes the old one's id after its death is told apart by its epoch.
//
// # Peers are trusted
//
// Whoever shares memory with a process can write into it. Sockets are therefore for the same user, TCP is for closed networks, with a Token against mistakes,
// and TLS, mutual if its configuration says so, is for the rest. A service that players reach belongs behind a gateway.
package rpc
