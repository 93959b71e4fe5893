package schema_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

func ExampleLoad() {
	tree, err := schema.Load("../../proto_define")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range tree.Schemas {
		if s.Name == "plains" {
			fmt.Println(s.Package, s.Routes[0].Name, s.Avatar.Def.Name)
		}
	}
	// Output: plains.v1 plains.move Hero
}

// The same is behind mmo gen and go generate.
func ExampleCommand() {
	fmt.Println(schema.Command(context.Background(), []string{"-chekc"}, os.Stdout, discard{}))
	// Output: 2
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
