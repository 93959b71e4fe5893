// Command gateway lets clients into the world of a server, whatever game that is: it knows none. config/gateway.yaml holds what it can be told.
package main

import (
	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/web"
)

func main() {
	tianxia.App{Name: "gateway", Only: "gateway", Web: web.Assets()}.Main()
}
