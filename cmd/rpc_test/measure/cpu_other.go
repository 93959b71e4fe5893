//go:build !unix

package measure

import "time"

// cpuTime is not measured here: the columns that need it show 0.
func cpuTime() time.Duration { return 0 }
