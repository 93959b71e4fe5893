package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size, written with its unit: "8 MiB", "1.5GiB", "64 kB", "512 B", or a bare number of bytes.
type Bytes int64

// units are the words behind the number; the table is never changed. Larger ones first, binary before decimal.
var units = [...]struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// String is the size in the largest binary unit that it is a whole number of.
func (b Bytes) String() string {
	for _, u := range units[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + " B"
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a size. It may not be negative, nor a fraction of a byte.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	number, unit := s, "B"
	if n := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); n >= 0 {
		number, unit = s[:n], strings.TrimSpace(s[n:])
	}
	size := int64(0)
	for _, u := range units {
		if unit == u.name {
			size = u.size
		}
	}
	switch {
	case strings.HasPrefix(s, "-"):
		return fmt.Errorf("size %s is negative: sizes start at 0", short(s))
	case number == "" || strings.Count(number, ".") > 1:
		return fmt.Errorf("size %s does not start with a number: write one such as 8 MiB", short(s))
	case size == 0:
		return fmt.Errorf("size %s has the unit %s: use B, KiB, MiB, GiB, TiB (powers of 1,024) or kB, MB, GB, TB (powers of 1,000)", short(s), short(unit))
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n <= math.MaxInt64/size {
		*b = Bytes(n * size)
		return nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return fmt.Errorf("size %s does not start with a number: write one such as 8 MiB", short(s))
	}
	f *= float64(size)
	if f >= 1<<63 {
		return fmt.Errorf("size %s is too large: it ends below 8 EiB", short(s))
	}
	if f != math.Trunc(f) {
		return fmt.Errorf("size %s is not a whole number of bytes: use a smaller unit", short(s))
	}
	*b = Bytes(f)
	return nil
}
