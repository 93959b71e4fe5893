package main

import (
	"fmt"
	"math"
	"strings"
)

// glyph is the strokes of a letter, from (0, 0) at the left end of its foot; capitals are 6 high.
func glyph(letter rune) string {
	switch letter {
	case 'A':
		return "0,0 0,4 1.4,6 2.6,6 4,4 4,0;0,2.4 4,2.4"
	case 'B':
		return "0,0 0,6 3,6 4,5.2 4,4 3,3.2 0,3.2;3,3.2 4,2.4 4,0.9 3,0 0,0"
	case 'C':
		return "4,5 3,6 1,6 0,5 0,1 1,0 3,0 4,1"
	case 'D':
		return "0,0 0,6 2.6,6 4,4.6 4,1.4 2.6,0 0,0"
	case 'E':
		return "3.7,0 0,0 0,6 3.7,6;0,3.1 3,3.1"
	case 'F':
		return "0,0 0,6 3.7,6;0,3.1 3,3.1"
	case 'G':
		return "4,5 3,6 1,6 0,5 0,1 1,0 3,0 4,1 4,2.8 2.3,2.8"
	case 'H':
		return "0,0 0,6;4,0 4,6;0,3.1 4,3.1"
	case 'I':
		return "0,0 0,6"
	case 'J':
		return "0,1 1,0 2,0 3,1 3,6"
	case 'K':
		return "0,0 0,6;4,6 0,2.2;1.4,3.6 4,0"
	case 'L':
		return "0,6 0,0 3.5,0"
	case 'M':
		return "0,0 0,6 2.4,2.6 4.8,6 4.8,0"
	case 'N':
		return "0,0 0,6 4,0 4,6"
	case 'O', '0':
		return "1,0 0,1 0,5 1,6 3,6 4,5 4,1 3,0 1,0"
	case 'P':
		return "0,0 0,6 3,6 4,5.1 4,3.7 3,2.8 0,2.8"
	case 'Q':
		return "1,0 0,1 0,5 1,6 3,6 4,5 4,1 3,0 1,0;2.4,1.6 4.3,-0.5"
	case 'R':
		return "0,0 0,6 3,6 4,5.1 4,3.7 3,2.8 0,2.8;2.2,2.8 4,0"
	case 'S':
		return "4,5 3,6 1,6 0,5 0,4.1 1,3.2 3,2.8 4,1.9 4,1 3,0 1,0 0,1"
	case 'T':
		return "0,6 4,6;2,6 2,0"
	case 'U':
		return "0,6 0,1 1,0 3,0 4,1 4,6"
	case 'V':
		return "0,6 2,0 4,6"
	case 'W':
		return "0,6 1.2,0 2.6,4 4,0 5.2,6"
	case 'X':
		return "0,0 4,6;0,6 4,0"
	case 'Y':
		return "0,6 2,3 4,6;2,3 2,0"
	case 'Z':
		return "0,6 4,6 0,0 4,0"
	case '1':
		return "0,4.8 1.6,6 1.6,0"
	case '2':
		return "0,5 1,6 3,6 4,5 4,3.9 0,0 4,0"
	case '3':
		return "0,5 1,6 3,6 4,5 4,4 3,3.1 1.6,3.1;3,3.1 4,2.2 4,1 3,0 1,0 0,1"
	case '4':
		return "3,0 3,6 0,1.8 4.2,1.8"
	case '5':
		return "3.8,6 0.4,6 0.1,3.3 1,3.8 3,3.8 4,2.8 4,1 3,0 1,0 0,1"
	case '6':
		return "3.5,6 1.6,6 0,3.9 0,1 1,0 3,0 4,1 4,2.5 3,3.5 1,3.5 0,2.5"
	case '7':
		return "0,6 4,6 1.5,0"
	case '8':
		return "1,3.2 0,4 0,5.1 1,6 3,6 4,5.1 4,4 3,3.2 1,3.2 0,2.3 0,0.9 1,0 3,0 4,0.9 4,2.3 3,3.2"
	case '9':
		return "0.5,0 2.4,0 4,2.1 4,5 3,6 1,6 0,5 0,3.5 1,2.5 3,2.5 4,3.5"
	case '.':
		return "0,0 0,0.1"
	case ',':
		return "0.4,0.1 0,-1.1"
	case '-':
		return "0,3 2.4,3"
	case '/':
		return "0,-0.6 2.6,6.6"
	case ':':
		return "0,1.2 0,1.3;0,4.2 0,4.3"
	case '·':
		return "0,2.9 0,3"
	}
	return ""
}

// strokes of a letter as lines, and how wide it is.
func strokes(letter rune) (lines [][4]float64, width float64) {
	if letter == ' ' {
		return nil, 1.6
	}
	for stroke := range strings.SplitSeq(glyph(letter), ";") {
		var lastX, lastY float64
		for i, point := range strings.Fields(stroke) {
			var x, y float64
			if _, err := fmt.Sscanf(point, "%g,%g", &x, &y); err != nil {
				panic(fmt.Sprintf("letter %q: point %q", letter, point))
			}
			if i > 0 {
				lines = append(lines, [4]float64{lastX, lastY, x, y})
			}
			lastX, lastY, width = x, y, max(width, x)
		}
	}
	return lines, width
}

// gap between two letters, in sixths of a capital's height.
const gap = 2

// write puts a text with the left end of its foot at (x, y), in capitals of a height. It returns where the text ends.
func (c *canvas) write(x, y, height float64, i ink, text string) float64 {
	unit := height / 6
	for _, letter := range strings.ToUpper(text) {
		lines, width := strokes(letter)
		for _, l := range lines {
			c.line(x+l[0]*unit, y-l[1]*unit, x+l[2]*unit, y-l[3]*unit, max(1.3, height/8.5), i)
		}
		x += (width + gap) * unit
	}
	return x - gap*unit
}

// long is how wide a text is.
func long(height float64, text string) float64 {
	all := -float64(gap)
	for _, letter := range strings.ToUpper(text) {
		_, width := strokes(letter)
		all += width + gap
	}
	return math.Max(all, 0) * height / 6
}
