package password_test

import (
	"context"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

func Example() {
	ctx := context.Background()
	hasher, err := password.New(password.Config{})
	if err != nil {
		panic(err)
	}
	stored, err := hasher.Hash(ctx, "correct horse battery")
	if err != nil {
		panic(err)
	}
	ok, renewed, err := hasher.Verify(ctx, stored, "correct horse battery")
	fmt.Println(stored[:31], ok, renewed == "", err)
	// Output: $argon2id$v=19$m=19456,t=2,p=1$ true true <nil>
}
