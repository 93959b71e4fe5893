//go:build !linux && !darwin

package network

import "syscall"

// setNotSentLowat does nothing: this system has no such option.
func setNotSentLowat(syscall.RawConn, int) {}
