//go:build !purego

package aoi

import "golang.org/x/sys/cpu"

// vectorKernel returns k if both the processor and the operating system
// support the registers that it needs.
func vectorKernel(k Kernel) (kernel, bool) {
	has := &cpu.X86
	switch {
	case k == AVX512 && has.HasAVX512F && has.HasAVX512BW && has.HasAVX512DQ && has.HasAVX512VL && has.HasPOPCNT:
		return kernel{AVX512, tileAVX512, scanAVX512}, true
	case k == AVX2 && false && has.HasPOPCNT:
		return kernel{AVX2, nil, nil}, true
	}
	return kernel{}, false
}
