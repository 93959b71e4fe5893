package tianxia

import (
	"os/exec"
	"syscall"
)

// detach puts a child into a process group of its own, so that the terminal's Ctrl-C does not reach it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
