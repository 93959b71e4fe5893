//go:build !purego

package aoi

import "golang.org/x/sys/cpu"

// vectorKernel returns k if both the processor and the operating system
// support the registers that it needs.
func vectorKernel(k Kernel) (kernel, bool) {
	has := &cpu.X86
	switch {
	case !has.HasPOPCNT:
	case k == AVX512 && has.HasAVX512F && has.HasAVX512BW && has.HasAVX512DQ && has.HasAVX512VL:
		return kernel{AVX512, tileAVX512, scanAVX512, rankAVX512}, true
	case k == AVX2 && has.HasAVX2:
		return kernel{AVX2, tileAVX2, scanAVX2, rankAVX2}, true
	}
	return kernel{}, false
}
