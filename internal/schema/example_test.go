package schema_test

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

// The generated messages of the repository are checked the way its tests do.
func ExampleCheck() {
	stale, err := schema.Check("../../proto_define")
	fmt.Println(stale, err)
	// Output: [] <nil>
}
