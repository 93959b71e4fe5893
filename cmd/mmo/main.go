// Command mmo runs the sample game plains, gateway, server, page and walkers in one process or in several, and has the tools of those who make their own.
package main

import (
	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/cmd/internal/sample"
	"github.com/tianxia-mmo/tianxia/internal/schema"
)

func main() {
	a := sample.App()
	a.Name = "mmo"
	a.Commands = []tianxia.Command{
		{Name: "gen", Help: "write what a schema's .proto files say; mmo gen -h tells more", Run: schema.Command},
	}
	a.Main()
}
