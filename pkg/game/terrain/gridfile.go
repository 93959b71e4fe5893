package terrain

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A grid file, little-endian; the bits of a set fill bytes from the lowest on, and the last byte's rest is 0:
//
//	0      4      5  6  8   12  16    20       24    28     30
//	"TXG1" flags  0  0  x   y   cell  columns  rows  climb  drop  ·  blocked ⌈n÷8⌉  ·  opaque ⌈n÷8⌉  ·  heights 2n      n = columns · rows
//
// flags say which of the three parts there are: 1 blocked, 2 opaque, 4 heights.
const (
	gridMagic  = "TXG1"
	gridHeader = 32
	hasHeights = 4
	allFlags   = 7
)

// AppendGrid appends the file of a map. A configuration that NewGrid would refuse is refused here too.
func AppendGrid(b []byte, c GridConfig) ([]byte, error) {
	if err := c.validate(); err != nil {
		return b, err
	}
	flags := byte(0)
	for bit, has := range [3]bool{c.Blocked != nil, c.Opaque != nil, c.Heights != nil} {
		if has {
			flags |= 1 << bit
		}
	}
	b = append(append(b, gridMagic...), flags, 0, 0, 0)
	for _, v := range []int32{c.X, c.Y, c.Cell, c.Columns, c.Rows} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	b = binary.LittleEndian.AppendUint16(b, c.Climb)
	b = binary.LittleEndian.AppendUint16(b, c.Drop)
	cells := int64(c.Columns) * int64(c.Rows)
	for _, set := range [][]uint64{c.Blocked, c.Opaque} {
		for i := int64(0); set != nil && i < (cells+7)/8; i++ {
			v := byte(set[i/8] >> (i % 8 * 8))
			if rest := cells - 8*i; rest < 8 {
				v &= 1<<rest - 1
			}
			b = append(b, v)
		}
	}
	for _, h := range c.Heights {
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	return b, nil
}

// ParseGrid reads a file that AppendGrid wrote. It keeps nothing of b, and refuses what is not exactly such a file.
func ParseGrid(b []byte) (c GridConfig, err error) {
	if len(b) < gridHeader || string(b[:4]) != gridMagic {
		return c, fmt.Errorf("grid file of %d bytes: need %q and a header of %d bytes", len(b), gridMagic, gridHeader)
	}
	flags, word := b[4], func(at int) int32 { return int32(binary.LittleEndian.Uint32(b[at:])) }
	c = GridConfig{X: word(8), Y: word(12), Cell: word(16), Columns: word(20), Rows: word(24),
		Climb: binary.LittleEndian.Uint16(b[28:]), Drop: binary.LittleEndian.Uint16(b[30:])}
	if flags > allFlags || b[5]|b[6]|b[7] != 0 || c.Cell == 0 {
		return GridConfig{}, fmt.Errorf("grid file: flags %d, reserved bytes %x, cells of %d quanta: this version knows flags up to 7, and no cell is 0", flags, b[5:8], c.Cell)
	}
	if err := c.validate(); err != nil {
		return GridConfig{}, fmt.Errorf("grid file: %w", err)
	}
	cells := int64(c.Columns) * int64(c.Rows)
	set, want := (cells+7)/8, int64(gridHeader)
	for bit, size := range [3]int64{set, set, 2 * cells} {
		want += int64(flags>>bit&1) * size
	}
	if int64(len(b)) != want { // before anything is made room for
		return GridConfig{}, fmt.Errorf("grid file of %d bytes: %d × %d cells with flags %d take %d", len(b), c.Columns, c.Rows, flags, want)
	}
	b = b[gridHeader:]
	for bit, to := range [2]*[]uint64{&c.Blocked, &c.Opaque} {
		if flags>>bit&1 == 0 {
			continue
		}
		if rest := cells % 8; rest != 0 && b[set-1]>>rest != 0 {
			return GridConfig{}, fmt.Errorf("grid file: the last byte of a set has bits beyond the %d cells", cells)
		}
		*to = make([]uint64, words(cells))
		for i, v := range b[:set] {
			(*to)[i/8] |= uint64(v) << (i % 8 * 8)
		}
		b = b[set:]
	}
	if flags&hasHeights != 0 {
		c.Heights = make([]uint16, cells)
		for i := range c.Heights {
			c.Heights[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
	}
	return c, nil
}

// ParseText reads a map that a person drew, one line per row, the lowest y first, one character per cell:
//
//	.    ground of height 0        0 … 9  ground of that height
//	#    neither walked on nor seen through        ~  not walked on (water)        %  not seen through (tall grass)
//
// Empty lines at both ends are left out; all others are equally long. X, Y, Cell, Climb and Drop are the caller's to set.
func ParseText(text string) (c GridConfig, err error) {
	lines := strings.Split(strings.Trim(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	columns, cells := len(lines[0]), int64(len(lines[0]))*int64(len(lines))
	if columns == 0 || cells > MaxCells {
		return c, fmt.Errorf("map of %d lines of %d characters: need at least one cell, and at most %d", len(lines), columns, MaxCells)
	}
	for i, line := range lines {
		if len(line) != columns {
			return c, fmt.Errorf("map: line %d has %d characters, the first one %d; all must be equally long", i+1, len(line), columns)
		}
	}
	c = GridConfig{Columns: int32(columns), Rows: int32(len(lines)),
		Blocked: make([]uint64, words(cells)), Opaque: make([]uint64, words(cells)), Heights: make([]uint16, cells)}
	for row, line := range lines {
		for column, r := range []byte(line) {
			i := row*columns + column
			switch {
			case r == '.':
			case r >= '0' && r <= '9':
				c.Heights[i] = uint16(r - '0')
			case r == '#' || r == '~' || r == '%':
				if r != '%' {
					c.Blocked[i/64] |= 1 << (i % 64)
				}
				if r != '~' {
					c.Opaque[i/64] |= 1 << (i % 64)
				}
			default:
				return GridConfig{}, fmt.Errorf("map: line %d, column %d is %q; known are . # ~ %% and digits", row+1, column+1, r)
			}
		}
	}
	return c, nil
}
