package link_test

import (
	"context"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// A server offers links, a gateway takes one. Across processes the endpoint is "unix:///run/world.sock" or "tcp://host:port", or the gateway's client names
// link.Service and a registry.
func ExampleDial() {
	network := inproc.NewNetwork()
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://world"}, InProc: network})
	if err != nil {
		panic(err)
	}
	ports := make(chan link.Port, 1)
	link.Register(server, func(port link.Port, gateway link.GatewayInfo) (link.Hello, error) {
		fmt.Println(gateway.Instance, "joins over", gateway.Transport)
		ports <- port
		return link.Hello{Game: "plains", Gateway: 1}, nil
	}, link.Config{})
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	if err := server.Listen(); err != nil {
		panic(err)
	}
	go func() { served <- server.Serve(ctx) }()

	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://world", InProc: network, ID: "gateway-1"})
	if err != nil {
		panic(err)
	}
	l, err := link.Dial(ctx, client, link.Config{})
	if err != nil {
		panic(err)
	}
	fmt.Println("the game is", l.Hello().Game)
	ann := link.Opening{Player: 5, Name: "Ann"}
	_ = l.Send(link.Up{Kind: link.OpenSession, Conn: 7, Payload: ann.Append(nil)})

	port := <-ports
	<-port.Ready()
	ups, _ := port.Receive(nil)
	who, _ := link.ParseOpening(ups[0].Payload)
	fmt.Println(who.Name, "wants to play")

	_ = l.Close()
	_ = client.Close()
	stop()
	fmt.Println(<-served)
	// Output:
	// gateway-1 joins over inproc
	// the game is plains
	// Ann wants to play
	// <nil>
}
