package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// DefaultDirectory is the folder that the processes of one user on one host share unless they are told otherwise: $TIANXIA_RUN_DIR, else $XDG_RUNTIME_DIR/tianxia, else
// tianxia-<uid> among the temporary files. It makes nothing.
func DefaultDirectory() (string, error) {
	if dir := os.Getenv("TIANXIA_RUN_DIR"); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("TIANXIA_RUN_DIR is %q: processes started in different folders would not find each other; make it an absolute path", dir)
		}
		return filepath.Clean(dir), nil
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) { // a relative one is to be ignored, says its specification
		return filepath.Join(dir, "tianxia"), nil
	}
	name := "tianxia"
	if uid := os.Getuid(); uid >= 0 { // Windows has none, and a folder of temporary files per user
		name += "-" + strconv.Itoa(uid)
	}
	dir, err := filepath.Abs(filepath.Join(os.TempDir(), name))
	if err != nil {
		return "", fmt.Errorf("folder of the registry: %w: set TIANXIA_RUN_DIR", err)
	}
	return dir, nil
}

// HostID names the running machine: the same for all its processes whatever network they see, containers included, and another after a restart. It is a hash of what the
// system calls this boot, so it tells nothing, and of the host's name where the system has nothing better.
func HostID() string {
	seed := bootID()
	if seed == "" {
		name, _ := os.Hostname() // empty at worst: then every such host is the same, and connecting tells
		seed = "name " + name
	}
	sum := sha256.Sum256([]byte("tianxia host " + seed))
	return hex.EncodeToString(sum[:16])
}
