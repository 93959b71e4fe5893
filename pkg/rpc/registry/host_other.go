//go:build !linux && !darwin

package registry

func bootID() string { return "" }
