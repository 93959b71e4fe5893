package gobind

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// value is a single value of a component: a field's, an element's, a key's. It says how Go code reads and writes it.
type value struct {
	d    *delta.Field
	pf   *protogen.Field
	what string // in messages to people: "Vitals.hp"
}

// goType is the type in the bindings' methods: units for quantised numbers, radians for angles.
func (f *file) goType(v value) string {
	switch v.d.Type {
	case delta.Bool:
		return "bool"
	case delta.Int32:
		return "int32"
	case delta.Uint32:
		return "uint32"
	case delta.Int64:
		return "int64"
	case delta.Uint64:
		return "uint64"
	case delta.Enum:
		return f.name(v.pf.Enum.GoIdent)
	case delta.Float32:
		return "float32"
	case delta.Float64, delta.Steps, delta.Angle:
		return "float64"
	case delta.Entity:
		return "game.EntityID"
	case delta.String:
		return "string"
	case delta.Bytes:
		return "[]byte"
	}
	return "*" + f.name(v.pf.Message.GoIdent)
}

// pbType is the type in the generated message.
func (f *file) pbType(v value) string {
	switch v.d.Type {
	case delta.Steps, delta.Angle:
		if v.pf.Desc.Kind() == protoreflect.FloatKind {
			return "float32"
		}
	case delta.Entity:
		return "uint64"
	}
	return f.goType(v)
}

// toPB and fromPB convert an expression between the two.
func (f *file) toPB(v value, expr string) string {
	if t := f.pbType(v); t != f.goType(v) {
		return t + "(" + expr + ")"
	}
	return expr
}

func (f *file) fromPB(v value, expr string) string {
	if t := f.goType(v); t != f.pbType(v) {
		return t + "(" + expr + ")"
	}
	return expr
}

// turn is the radians of one step of an angle.
func turn(bits uint8) string { return fmt.Sprintf("(2*math.Pi/%d)", 1<<bits) }

// units is an expression: steps of a quantised number in units. The conversion in the middle keeps machines with fused arithmetic from another result.
func units(d *delta.Field, steps string) string {
	if d.Origin != 0 {
		return fmt.Sprintf("float64(float64(%s)*%s) + %s", steps, floatLiteral(d.Quantum), floatLiteral(d.Origin))
	}
	return fmt.Sprintf("float64(%s) * %s", steps, floatLiteral(d.Quantum))
}

// decode is an expression: the value whose word is w, or whose two words are w64, or whose variable part is at.
func (f *file) decode(v value, w, w64, at string) string {
	switch v.d.Type {
	case delta.Bool:
		return w + " != 0"
	case delta.Int32:
		return "int32(" + w + ")"
	case delta.Uint32:
		return w
	case delta.Int64:
		return "int64(" + w64 + ")"
	case delta.Uint64:
		return w64
	case delta.Enum:
		return f.goType(v) + "(" + w + ")"
	case delta.Float32:
		return "math.Float32frombits(" + w + ")"
	case delta.Float64:
		return "math.Float64frombits(" + w64 + ")"
	case delta.Steps:
		return units(v.d, "int32("+w+")")
	case delta.Angle:
		return "float64(" + w + ") * " + turn(v.d.Bits)
	case delta.Entity:
		return "game.EntityID(" + w64 + ")"
	case delta.String:
		return "string(" + at + ".B)"
	case delta.Bytes:
		return "bytes.Clone(" + at + ".B)"
	}
	panic("a message has no single word")
}

// decodeView is decode of a view whose first word and variable part are at an offset.
func (f *file) decodeView(v value, b string, word, vars int) string {
	i, k := valueAt(v.d)-word, v.d.Var-vars
	w64 := ""
	if isWide(v.d) {
		w64 = word64(b+".W", i)
		if v.d.Type == delta.Uint64 {
			w64 = "(" + w64 + ")"
		}
	}
	return f.decode(v, fmt.Sprintf("%s.W[%d]", b, i), w64, fmt.Sprintf("%s.V[%d]", b, k))
}

// encode writes what turns x, of the bindings' type, into n: a uint32, a uint64 of two words, or the bytes to copy. fail writes the way out with an error.
func (f *file) encode(v value, x string, fail func(err string)) {
	d := v.d
	check := func(bad, shown, low, high string) {
		f.p("if %s {", bad)
		fail(fmt.Sprintf("outside(%q, %s, %s, %s)", v.what, shown, low, high))
		f.p("}")
	}
	switch d.Type {
	case delta.Bool:
		f.p("n := uint32(0)")
		f.p("if %s { n = 1 }", x)
	case delta.Int32, delta.Uint32, delta.Int64, delta.Uint64:
		if bad := outOfRange(d, x); bad != "" {
			check(bad, x, fmt.Sprint(d.Min), fmt.Sprint(d.Limit))
		}
		f.p("n := %s(%s)", map[bool]string{true: "uint64", false: "uint32"}[isWide(d)], x)
	case delta.Enum:
		check(fmt.Sprintf("uint32(%s) >= 1<<%d", x, d.Bits), x, "0", fmt.Sprint(1<<d.Bits-1))
		f.p("n := uint32(%s)", x)
	case delta.Float32:
		f.p("n := math.Float32bits(%s)", x)
	case delta.Float64:
		f.p("n := math.Float64bits(%s)", x)
	case delta.Steps:
		low, high := v.stepLimits()
		expr := x
		if d.Origin != 0 {
			expr = "(" + plus64(x, -d.Origin) + ")"
		}
		f.p("s := math.Round(%s / %s)", expr, floatLiteral(d.Quantum))
		check(fmt.Sprintf("!(s >= %d && s <= %d)", low, high), x, floatLiteral(valueOf(d, low)), floatLiteral(valueOf(d, high)))
		f.p("n := uint32(int32(s))")
	case delta.Angle:
		f.p("s := math.Round(%s / %s)", x, turn(d.Bits))
		f.p("if !(math.Abs(s) < 1<<53) {")
		fail(fmt.Sprintf("notFinite(%q, %s)", v.what, x))
		f.p("}")
		f.p("n := uint32(int64(s)) & %d", uint32(1)<<d.Bits-1)
	case delta.Entity:
		f.p("n := uint64(%s)", x)
	case delta.String, delta.Bytes:
		f.p("n := %s", x)
		f.p("if len(n) > %d {", d.Max)
		fail(fmt.Sprintf("tooLong(%q, len(n), %d, \"bytes\")", v.what, d.Max))
		f.p("}")
		if d.Type == delta.String {
			f.p("if !utf8.ValidString(n) {")
			fail(fmt.Sprintf("notText(%q, n)", v.what))
			f.p("}")
		}
	default:
		panic("a message is not encoded here")
	}
}

// plus64 is an expression more a constant.
func plus64(x string, c float64) string {
	if c < 0 {
		return x + " - " + floatLiteral(-c)
	}
	return x + " + " + floatLiteral(c)
}

func valueOf(d *delta.Field, steps int64) float64 { return d.Origin + float64(steps)*d.Quantum }

// stepLimits are the ends of a quantised number: of its range, or of what its message's type carries exactly.
func (v value) stepLimits() (low, high int64) {
	switch {
	case isRanged(v.d):
		return v.d.Min, v.d.Limit
	case v.pf.Desc.Kind() == protoreflect.FloatKind:
		return -1 << 23, 1 << 23
	}
	return math.MinInt32, math.MaxInt32
}

// intLimits are the ends of an integer's range or type, as literals: no type of Go's holds them all.
func intLimits(d *delta.Field) (low, high string) {
	if isRanged(d) {
		return fmt.Sprint(d.Min), fmt.Sprint(d.Limit)
	}
	switch d.Type {
	case delta.Int32:
		return fmt.Sprint(math.MinInt32), fmt.Sprint(math.MaxInt32)
	case delta.Uint32:
		return "0", fmt.Sprint(uint32(math.MaxUint32))
	case delta.Int64:
		return fmt.Sprint(int64(math.MinInt64)), fmt.Sprint(int64(math.MaxInt64))
	}
	return "0", fmt.Sprint(uint64(math.MaxUint64))
}

// outOfRange is an expression: an integer is outside its range; "" if it cannot be.
func outOfRange(d *delta.Field, x string) string {
	if !isRanged(d) {
		return ""
	}
	whole := *d
	whole.Bits = 0
	low, high := intLimits(d)
	least, most := intLimits(&whole)
	var list []string
	if low != least { // a range lies within its type
		list = append(list, x+" < "+low)
	}
	if high != most {
		list = append(list, x+" > "+high)
	}
	return strings.Join(list, " || ")
}

// withoutZero tells whether 0 is outside a field's range, so that an unset field of a message means the default.
func withoutZero(d *delta.Field) bool {
	if !isRanged(d) {
		return false
	}
	zero := 0.0
	if d.Type == delta.Steps {
		zero = math.Round(-d.Origin / d.Quantum)
	}
	return zero < float64(d.Min) || zero > float64(d.Limit)
}

// describe is the rest of a comment: what the schema says of a field, and its range.
func describe(v value) string {
	var b strings.Builder
	text := strings.Join(strings.Fields(string(v.pf.Comments.Leading)), " ")
	if text == "" {
		text = strings.Join(strings.Fields(string(v.pf.Comments.Trailing)), " ")
	}
	if text != "" {
		b.WriteString(": " + strings.TrimRight(text, "."))
	}
	switch d := v.d; {
	case d.Type == delta.Steps:
		low, high := v.stepLimits()
		fmt.Fprintf(&b, "; steps of %s", floatLiteral(d.Quantum))
		if isRanged(d) {
			fmt.Fprintf(&b, " from %s to %s", floatLiteral(valueOf(d, low)), floatLiteral(valueOf(d, high)))
		}
	case d.Type == delta.Angle:
		fmt.Fprintf(&b, "; radians, in steps of 1/%d turn", 1<<d.Bits)
	case isRanged(d):
		fmt.Fprintf(&b, "; %d to %d", d.Min, d.Limit)
	case isText(d):
		fmt.Fprintf(&b, "; at most %d bytes", d.Max)
	case isMany(d):
		fmt.Fprintf(&b, "; at most %d elements", d.Max)
	}
	if v.d.Audience != delta.AOI {
		fmt.Fprintf(&b, "; for %s", a2who(v.d.Audience))
	}
	return b.String()
}
