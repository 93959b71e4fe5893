//go:build unix

package tianxia

import (
	"os/exec"
	"syscall"
)

// detach puts a child into a process group of its own, so that the terminal's signals do not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
