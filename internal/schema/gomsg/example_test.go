package gomsg_test

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds"
)

// One buffer and one message serve a whole stream.
func Example() {
	var buffer []byte
	into := &allkinds.Steer{}
	for seq := range uint32(3) {
		var err error
		if buffer, err = (&allkinds.Steer{Seq: seq, Vx: 16}).AppendFast(buffer[:0]); err != nil {
			fmt.Println(err)
		}
		if err = into.ParseFast(buffer); err != nil {
			fmt.Println(err)
		}
		fmt.Println(into.Seq, into.Vx, len(buffer))
	}
	fmt.Println(into.ParseFast([]byte{8, 0x80}))
	// Output:
	// 0 16 2
	// 1 16 4
	// 2 16 4
	// gomsg.allkinds.Steer, field 1: unexpected EOF
}
