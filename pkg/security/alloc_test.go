//go:build !race

package security

import (
	"math"
	"testing"
)

func TestRecordsAllocateNothing(t *testing.T) {
	for _, size := range []int{0, 64, 1024, 16 << 10} {
		sealer, opener := pair(t, limits{records: math.MaxUint32, bytes: math.MaxUint32})
		plain, buffer := make([]byte, size), make([]byte, 0, size+Overhead+14)
		n := testing.AllocsPerRun(200, func() {
			record := sealer.Seal(buffer[:14], plain)
			if _, err := opener.Open(record[14:]); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%d bytes: %v allocations per record, want 0", size, n)
		}
	}
}
