package status

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
)

// Bounds of what travels. An error always arrives: what does not fit is left out by the sender.
const (
	MaxMessage = 8 << 10   // bytes of the message; the rest is cut
	MaxDetails = 64        // details; further ones are left out
	MaxWire    = 128 << 10 // bytes of the whole; details that do not fit are left out
)

// The wire form is that of google.rpc.Status, so that other languages read it:
//
//	1 code     int32, varint     left out when 0
//	2 message  string, UTF-8     left out when empty
//	3 details  google.protobuf.Any, repeated: 1 type_url string, 2 value bytes
const (
	fieldCode, fieldMessage, fieldDetail = 1, 2, 3
	fieldTypeURL, fieldValue             = 1, 2
)

var (
	errTooLong = fmt.Errorf("rpc status: more than %d bytes", MaxWire)
	errDetails = fmt.Errorf("rpc status: more than %d details", MaxDetails)
	errUTF8    = errors.New("rpc status: text that is not UTF-8")
	errField   = errors.New("rpc status: field number out of range")
)

// SizeWire is the number of bytes that AppendWire appends; at most MaxWire.
func (e *Error) SizeWire() int {
	_, _, size := e.parts()
	return size
}

// AppendWire appends the error in the form of google.rpc.Status, without its Fate. A nil error is empty, as OK is.
func (e *Error) AppendWire(dst []byte) []byte {
	msg, details, _ := e.parts()
	if e == nil {
		return dst
	}
	if e.Code != OK {
		dst = protowire.AppendTag(dst, fieldCode, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(int64(int32(e.Code))))
	}
	if msg != "" {
		dst = protowire.AppendTag(dst, fieldMessage, protowire.BytesType)
		dst = protowire.AppendString(dst, msg)
	}
	for _, detail := range e.Details[:details] {
		url, value := valid(detail.GetTypeUrl()), detail.GetValue()
		dst = protowire.AppendTag(dst, fieldDetail, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(sizeAny(url, value)))
		if url != "" {
			dst = protowire.AppendTag(dst, fieldTypeURL, protowire.BytesType)
			dst = protowire.AppendString(dst, url)
		}
		if len(value) > 0 {
			dst = protowire.AppendTag(dst, fieldValue, protowire.BytesType)
			dst = protowire.AppendBytes(dst, value)
		}
	}
	return dst
}

// parts are the message as it travels, the number of details that do, and the size of all that.
func (e *Error) parts() (msg string, details, size int) {
	if e == nil {
		return "", 0, 0
	}
	if e.Code != OK {
		size += protowire.SizeTag(fieldCode) + protowire.SizeVarint(uint64(int64(int32(e.Code))))
	}
	if msg = shorten(valid(e.Message)); msg != "" {
		size += protowire.SizeTag(fieldMessage) + protowire.SizeBytes(len(msg))
	}
	for _, detail := range e.Details {
		n := protowire.SizeTag(fieldDetail) + protowire.SizeBytes(sizeAny(valid(detail.GetTypeUrl()), detail.GetValue()))
		if details == MaxDetails || size+n > MaxWire {
			break
		}
		details, size = details+1, size+n
	}
	return msg, details, size
}

func sizeAny(url string, value []byte) (n int) {
	if url != "" {
		n += protowire.SizeTag(fieldTypeURL) + protowire.SizeBytes(len(url))
	}
	if len(value) > 0 {
		n += protowire.SizeTag(fieldValue) + protowire.SizeBytes(len(value))
	}
	return n
}

// valid mends text that protobuf would refuse to read: the error matters more than its bytes.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func shorten(s string) string {
	if len(s) <= MaxMessage {
		return s
	}
	end := MaxMessage - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// ParseWire reads what AppendWire, or protobuf for a google.rpc.Status, wrote. It keeps no reference to b, skips unknown fields, and refuses what is
// over the bounds or would be refused by protobuf. An empty b is an *Error with code OK: whether that makes sense is for the layer above to say.
func ParseWire(b []byte) (*Error, error) {
	if len(b) > MaxWire {
		return nil, errTooLong
	}
	e := &Error{}
	err := fields(b, func(num protowire.Number, number uint64, bytes []byte) error {
		switch {
		case num == fieldCode && bytes == nil:
			e.Code = Code(uint32(number))
		case num == fieldMessage && bytes != nil:
			if !utf8.Valid(bytes) {
				return errUTF8
			}
			e.Message = string(bytes)
		case num == fieldDetail && bytes != nil:
			if len(e.Details) == MaxDetails {
				return errDetails
			}
			detail, err := parseAny(bytes)
			if err != nil {
				return err
			}
			e.Details = append(e.Details, detail)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func parseAny(b []byte) (*anypb.Any, error) {
	detail := &anypb.Any{}
	err := fields(b, func(num protowire.Number, _ uint64, bytes []byte) error {
		switch {
		case num == fieldTypeURL && bytes != nil:
			if !utf8.Valid(bytes) {
				return errUTF8
			}
			detail.TypeUrl = string(bytes)
		case num == fieldValue && bytes != nil:
			detail.Value = append([]byte(nil), bytes...)
		}
		return nil
	})
	return detail, err
}

// fields hands each varint (bytes is nil) and each length-delimited field (bytes is not nil) to see; fields of other types are skipped.
func fields(b []byte, see func(num protowire.Number, number uint64, bytes []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("rpc status: %w", protowire.ParseError(n))
		}
		if num > protowire.MaxValidNumber {
			return errField
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			if bytes, n = protowire.ConsumeBytes(b); bytes == nil {
				bytes = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("rpc status: field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if typ == protowire.VarintType || typ == protowire.BytesType {
			if err := see(num, number, bytes); err != nil {
				return err
			}
		}
	}
	return nil
}
