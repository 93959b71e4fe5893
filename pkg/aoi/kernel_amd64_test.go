//go:build !purego

package aoi

import (
	"testing"

	"golang.org/x/sys/cpu"
)

func TestNoKernelOfTheProcessorIsLeftOut(t *testing.T) {
	if _, ok := kernelOf(AVX2); ok != cpu.X86.HasAVX2 {
		t.Errorf("kernelOf(AVX2) = %v on a processor with AVX2 = %v", ok, cpu.X86.HasAVX2)
	}
	has := cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	if _, ok := kernelOf(AVX512); ok != has {
		t.Errorf("kernelOf(AVX512) = %v on a processor with AVX-512 = %v", ok, has)
	}
}
