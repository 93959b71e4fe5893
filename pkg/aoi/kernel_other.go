//go:build !amd64 || purego

package aoi

// vectorKernel: no machine but amd64 has a vector kernel.
func vectorKernel(Kernel) (kernel, bool) { return kernel{}, false }
