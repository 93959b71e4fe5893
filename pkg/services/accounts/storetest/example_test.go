package storetest_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts/storetest"
)

// A store of one's own is tested by one function in its package, named TestStore, say.
func Example() {
	_ = func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) accounts.Store {
			store, err := accounts.NewMemory(accounts.MemoryConfig{}) // yours: an empty database for each call
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	}
}
