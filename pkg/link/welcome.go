package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// welcome reads the first record of the stream of messages, which comes alone.
func (r *receiver) welcome() (bounds PipeConfig, h Hello, err error) {
	var nobody sender
	for got := false; !got; {
		err = r.next(&nobody, func(record []byte) (err error) {
			if got {
				return fmt.Errorf("%w: a record beside the welcome", ErrMalformed)
			}
			got = true
			bounds, h, err = parseWelcome(record)
			return err
		})
		if err != nil {
			return bounds, h, r.early(err)
		}
	}
	return bounds, h, nil
}

// early is the error of a stream that ended before its first record.
func (r *receiver) early(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the server ended the link before it began")
	}
	return err
}

// sendWelcome is the other end of welcome.
func sendWelcome(s stream, bounds *PipeConfig, h *Hello) error {
	w := appendWelcome(nil, bounds, h)
	rest := append(binary.AppendUvarint(nil, uint64(len(w))), w...)
	for len(rest) > 0 {
		n := min(len(rest), controlMessage)
		if err := s.Send(&outgoing{receipt{}.append(nil), rest[:n]}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
