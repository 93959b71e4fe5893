package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// mostInput is how much is read at most, in bytes.
const mostInput = 64 << 20

// input is what the arguments say, joined by spaces, or else what the input holds; a lone "-" means the input.
func input(args []string, c console) ([]byte, error) {
	if len(args) > 0 && !(len(args) == 1 && args[0] == "-") {
		return []byte(strings.Join(args, " ")), nil
	}
	b, err := io.ReadAll(io.LimitReader(c.in, mostInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the input: %w", err)
	case len(b) > mostInput:
		return nil, fmt.Errorf("read the input: more than %d bytes", mostInput)
	case len(b) == 0:
		return nil, misuse("there is nothing to read: give bytes as arguments, or pipe them in")
	}
	return b, nil
}

// bytesOf reads text in one of the forms of -in. Spaces, line ends, commas and an 0x in front of hexadecimal are no part of it.
func bytesOf(text []byte, form string) ([]byte, error) {
	if form == "raw" {
		return text, nil
	}
	words := strings.FieldsFunc(string(text), func(r rune) bool { return unicode.IsSpace(r) || r == ',' })
	inHex, inBase64 := "", strings.Join(words, "")
	for _, w := range words {
		inHex += strings.TrimPrefix(strings.TrimPrefix(w, "0x"), "0X")
	}
	fromHex, hexFault := hex.DecodeString(inHex)
	fromBase64, base64Fault := fromAnyBase64(inBase64)
	switch {
	case hexFault != nil && (form == "hex" || form == "auto" && strings.Trim(inHex, "0123456789abcdefABCDEF") == ""):
		return nil, misuse("no hexadecimal: %v", hexFault)
	case form == "base64" && base64Fault != nil:
		return nil, misuse("no base64: %v", base64Fault)
	case form == "base64" || hexFault != nil && base64Fault == nil && form == "auto":
		return fromBase64, nil
	case hexFault == nil:
		return fromHex, nil
	case bytes.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || r < ' ' && !unicode.IsSpace(r) }):
		return text, nil
	}
	return nil, misuse("%.40q is neither hexadecimal (%v) nor base64 (%v); if these are the bytes themselves, say -in raw", text, hexFault, base64Fault)
}

// fromAnyBase64 takes the alphabet of URLs too, padded or not.
func fromAnyBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(text)
}

// write prints bytes in the form of -out.
func write(b []byte, form string, c console) error {
	var err error
	switch form {
	case "raw":
		_, err = c.out.Write(b)
	case "base64":
		_, err = fmt.Fprintln(c.out, base64.StdEncoding.EncodeToString(b))
	default:
		_, err = fmt.Fprintln(c.out, hex.EncodeToString(b))
	}
	return err
}

// isJSON tells whether text is meant to be JSON.
func isJSON(text []byte, form string) bool {
	if form != "auto" {
		return form == "json"
	}
	text = bytes.TrimSpace(text)
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}
