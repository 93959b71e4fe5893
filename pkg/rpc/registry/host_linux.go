package registry

import (
	"os"
	"strings"
)

// bootID is the kernel's. The machine id is left out: containers have their own, or the one of the image they were made from, and still share the host.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
