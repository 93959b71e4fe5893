// Command server runs the world of the sample game plains; gateways join it. config/server.yaml holds what it can be told.
package main

import "github.com/tianxia-mmo/tianxia/cmd/internal/sample"

func main() {
	a := sample.App()
	a.Name, a.Only = "server", "server"
	a.Main()
}
