package network

import (
	"slices"
	"testing"
)

// TestFaultListIsCovered maps what can be wrong with a WebSocket peer to the cases and tests that do it. Cases are rows of conformanceTable and textTable, and
// each runs whole, in one segment with the upgrade, and byte by byte.
func TestFaultListIsCovered(t *testing.T) {
	type tests []func(*testing.T)
	list := []struct {
		fault string
		cases []string
		tests tests
	}{
		{"reserved bits", []string{"RSV1 (permessage-deflate)", "RSV2", "RSV3", "RSV1 on ping"}, nil},
		{"unmasked client frame", []string{"unmasked", "unmasked ping"}, nil},
		{"masked server frame", nil, tests{TestClientRefusesMaskedFrames}},
		{"reserved opcodes", []string{"opcode 3", "opcode 7", "opcode 11", "opcode 15"}, nil},
		{"fragmented control", []string{"fragmented ping", "fragmented close"}, nil},
		{"control above 125 bytes", []string{"long ping", "ping length in 16 bits"}, nil},
		{"63-bit length", []string{"63-bit length", "too large, header alone"}, nil},
		{"length with its highest bit set", []string{"highest bit of the length"}, nil},
		{"length not minimal", []string{"length 5 in 16 bits", "length 500 in 64 bits"}, nil},
		{"interleaved fragments", []string{"interleaved", "interleaved text", "continuation without start", "continuation after the end"}, nil},
		{"1-byte drip", nil, tests{TestConformance, TestTextConformance, TestPrefixConformance}},
		{"header without body", []string{"header without body", "half a header"}, tests{TestReadBufferGrowsAndShrinks}},
		{"invalid UTF-8 text", []string{"invalid UTF-8", "surrogate", "overlong", "invalid in the first fragment", "broken off by the next fragment"},
			tests{TestConformanceWithPeers}},
		{"close codes never sent", []string{"close code 1004", "close code 1005", "close code 1006", "close code 1015"}, nil},
		{"close with one byte", []string{"close with one byte", "close reason not UTF-8"}, nil},
		{"ping flood", nil, tests{TestPingFloodIsBounded, TestEndlessControlFramesEndTheConnection}},
		{"1e6 empty fragments", []string{"million empty fragments"}, nil},
		{"bad Sec-WebSocket-Key and -Version, duplicate and oversized headers, Origin", nil, tests{TestUpgradeRefusals, TestCheckOriginReplacesTheRule}},
		{"a request pipelined behind the upgrade", nil, tests{TestRequestPipelinedBehindTheUpgradeIsAViolation}},
		{"data in one segment with the upgrade", nil, tests{TestConformance}},
		{"permessage-deflate", []string{"RSV1 (permessage-deflate)"}, tests{TestConformance, TestConformanceWithPeers}}, // their clients offer it
	}
	table := append(conformanceTable(), textTable()...)
	for _, fault := range list {
		if len(fault.cases)+len(fault.tests) == 0 {
			t.Errorf("%s: nothing does it", fault.fault)
		}
		for _, name := range fault.cases {
			if !slices.ContainsFunc(table, func(tc conformance) bool { return tc.name == name }) {
				t.Errorf("%s: there is no case %q", fault.fault, name)
			}
		}
	}
}

// What follows the upgrade is WebSocket, whatever it looks like.
func TestRequestPipelinedBehindTheUpgradeIsAViolation(t *testing.T) {
	noLeak(t)
	s := newServer(t, Config{})
	_, br, c := rawClient(t, s, []byte(rawRequest))
	_, err := c.Next()
	checkCause(t, err, ErrReservedOpcode) // G is RSV1 and opcode 7
	checkClose(t, readFrames(br), CodeProtocolError)
	_ = c.Close(0, "")
}
