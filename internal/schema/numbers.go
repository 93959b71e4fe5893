package schema

import (
	"math"
	"math/bits"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// What generated code can count in: 1 ÷ step and steps times step are far from the ends of a double, and of a float too.
const (
	minQuantum = 1e-9
	maxQuantum = 1e9
	maxEnd     = 1e15 // of a range, from 0

	minPlaceQuantum = 1e-6 // of positions: a zone has a size in steps of 32 bits
)

// integer fills the range of a whole number: as given, or what bits count.
func (b *builder) integer(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	wrong := func(name, format string, args ...any) { b.add(b.spot(w, d, "sync."+name), format, args...) }
	if w.given(d, "sync.quantize") {
		wrong("quantize", "quantize on %s: whole numbers travel whole, say range: {min: …, max: …} to make it small, or make the field float", typeName(d))
	}
	if o.Interp == mmo.Sync_ANGLE {
		wrong("interp", "interp ANGLE on %s: an angle is a float or double in radians that travels as bits", typeName(d))
	}
	least, most := typeRange(out.Type)
	switch {
	case o.Range == nil && !w.given(d, "sync.bits"):
	case o.Range == nil && (o.Bits < 1 || o.Bits > uint32(min(bits.Len64(uint64(most)-uint64(least)), maxRangeBits))):
		wrong("bits", "bits %d of %s: need 1 to %d, or say range: {min: …, max: …}", o.Bits, typeName(d), min(bits.Len64(uint64(most)-uint64(least)), maxRangeBits))
	case o.Range == nil:
		out.Bits = uint8(o.Bits)
		out.Limit = 1<<o.Bits - 1
		if least < 0 {
			out.Min, out.Limit = -1<<(o.Bits-1), 1<<(o.Bits-1)-1
		}
	case b.badRange(w, d, o):
	case o.Range.Min != math.Trunc(o.Range.Min) || o.Range.Max != math.Trunc(o.Range.Max):
		wrong("range", "range %v to %v of %s: the ends of a whole number's range are whole", o.Range.Min, o.Range.Max, typeName(d))
	case o.Range.Min < float64(least) || o.Range.Max > float64(most):
		wrong("range", "range %v to %v: %s holds %d to %d", o.Range.Min, o.Range.Max, typeName(d), least, most)
	case o.Range.Max-o.Range.Min >= 1<<maxRangeBits || math.Abs(o.Range.Min) > 1<<maxRangeBits || o.Range.Max > 1<<maxRangeBits:
		wrong("range", "range %v to %v: a range takes at most %d bits, because clients count them exactly; drop it to send all 64", o.Range.Min, o.Range.Max, maxRangeBits)
	default:
		out.Min, out.Limit = int64(o.Range.Min), int64(o.Range.Max)
		out.Bits = uint8(bits.Len64(uint64(out.Limit - out.Min)))
		if w.given(d, "sync.bits") {
			if o.Bits < uint32(out.Bits) || o.Bits > maxRangeBits {
				wrong("bits", "bits %d for the range %d to %d: need %d to %d, or drop bits", o.Bits, out.Min, out.Limit, out.Bits, maxRangeBits)
				return
			}
			out.Bits = uint8(o.Bits)
		}
	}
}

// typeRange is what a whole number holds; the upper half of uint64 has no range.
func typeRange(t delta.Type) (least, most int64) {
	switch t {
	case delta.Int32:
		return math.MinInt32, math.MaxInt32
	case delta.Uint32:
		return 0, math.MaxUint32
	case delta.Uint64:
		return 0, math.MaxInt64
	}
	return math.MinInt64, math.MaxInt64
}

// badRange refuses ends that are no range, whatever the type.
func (b *builder) badRange(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync) bool {
	lo, hi := o.Range.Min, o.Range.Max
	switch {
	case math.IsNaN(lo) || math.IsInf(lo, 0) || math.IsNaN(hi) || math.IsInf(hi, 0):
		b.add(b.spot(w, d, "sync.range"), "range %v to %v: its ends are finite numbers", lo, hi)
	case lo > hi:
		b.add(b.spot(w, d, "sync.range"), "range min %v is above max %v: swap them (an end that is not given is 0)", lo, hi)
	case lo == hi:
		b.add(b.spot(w, d, "sync.range"), "range %v to %v holds one value: give min and max (an end that is not given is 0)", lo, hi)
	default:
		return false
	}
	return true
}

// float fills how a float travels: exactly, in steps, or as an angle.
func (b *builder) float(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	wrong := func(name, format string, args ...any) { b.add(b.spot(w, d, "sync."+name), format, args...) }
	quantize, width := w.given(d, "sync.quantize"), w.given(d, "sync.bits")
	switch {
	case o.Interp == mmo.Sync_ANGLE:
		b.angle(w, d, o, out)
		return
	case quantize && !(o.Quantize > 0 && o.Quantize <= math.MaxFloat64):
		wrong("quantize", "quantize %v: a step is a positive, finite number in the field's units, such as 0.01", o.Quantize)
		return
	case quantize && (o.Quantize < minQuantum || o.Quantize > maxQuantum):
		wrong("quantize", "quantize %v: steps are %v to %v, or generated code could not count in them; choose other units", o.Quantize, minQuantum, maxQuantum)
		return
	case quantize && width && o.Range != nil:
		wrong("bits", "bits together with quantize and range: the range in steps says how many bits there are, drop bits (or quantize, to spread bits over the range)")
		return
	case quantize && width:
		wrong("bits", "bits together with quantize: say range: {min: …, max: …} to bound the steps, and drop bits")
		return
	case width && o.Range == nil:
		wrong("bits", "bits of a float without range: bits are spread over a range, add range: {min: …, max: …}, or interp: ANGLE if it is an angle")
		return
	case o.Range != nil && !quantize && !width:
		wrong("range", "range of a float without quantize or bits: it would travel exactly anyway, add quantize: <step> or bits: <number>")
		return
	case o.Range != nil && b.badRange(w, d, o):
		return
	case o.Range != nil && furthest(o) > maxEnd:
		wrong("range", "range %v to %v: its ends are at most %v from 0; choose other units", o.Range.Min, o.Range.Max, maxEnd)
		return
	case width && (o.Bits < 1 || o.Bits > 31):
		wrong("bits", "bits %d: spread 1 to 31 bits over a float's range, or drop them to send it exactly", o.Bits)
		return
	case quantize && o.Range != nil:
		b.steps(w, d, o, out)
	case width:
		out.Type, out.Bits = delta.Steps, uint8(o.Bits)
		out.Limit = 1<<o.Bits - 1
		out.Quantum, out.Origin = (o.Range.Max-o.Range.Min)/float64(out.Limit), o.Range.Min
		if out.Quantum < minQuantum || out.Quantum > maxQuantum {
			wrong("bits", "bits %d over %v to %v: that are steps of %v, and generated code counts in steps of %v to %v; choose other bits or units",
				o.Bits, o.Range.Min, o.Range.Max, out.Quantum, minQuantum, maxQuantum)
			return
		}
	case quantize:
		out.Type, out.Quantum = delta.Steps, o.Quantize
	}
	// A float stores 24 bits, so steps of a value beyond 2^23 of them would not come back the same.
	if greatest := furthest(o); out.Type == delta.Steps && o.Range != nil && d.Kind() == protoreflect.FloatKind && greatest/out.Quantum > maxFloatSteps {
		name := "quantize"
		if width {
			name = "bits"
		}
		wrong(name, "steps of %v up to %v: a float tells only 2^23 of them apart, make the field double or the steps coarser", out.Quantum, greatest)
	}
}

// furthest is the greatest distance from 0 in a range.
func furthest(o *mmo.Sync) float64 {
	return max(math.Abs(o.GetRange().GetMin()), math.Abs(o.GetRange().GetMax()))
}

// steps fills a quantised range: the steps that lie within it.
func (b *builder) steps(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	low, high := math.Ceil(near(o.Range.Min/o.Quantize)), math.Floor(near(o.Range.Max/o.Quantize))
	switch {
	case low < math.MinInt32 || high > math.MaxInt32:
		b.add(b.spot(w, d, "sync.quantize"), "range %v to %v in steps of %v: steps are 32-bit numbers, make them coarser or the range smaller", o.Range.Min, o.Range.Max, o.Quantize)
	case low >= high:
		b.add(b.spot(w, d, "sync.quantize"), "range %v to %v in steps of %v holds fewer than two steps: make them finer", o.Range.Min, o.Range.Max, o.Quantize)
	default:
		out.Type, out.Quantum, out.Min, out.Limit = delta.Steps, o.Quantize, int64(low), int64(high)
		out.Bits = uint8(bits.Len64(uint64(out.Limit - out.Min)))
	}
}

// near takes a quotient for the whole number that it would be in decimal: 0.3 ÷ 0.1 is 3.
func near(v float64) float64 {
	if r := math.Round(v); math.Abs(v-r) <= 1e-9*max(1, math.Abs(r)) {
		return r
	}
	return v
}

// angle fills a fraction of the turn.
func (b *builder) angle(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	wrong := func(name, format string, args ...any) { b.add(b.spot(w, d, "sync."+name), format, args...) }
	switch {
	case w.given(d, "sync.quantize"):
		wrong("quantize", "quantize of an angle: it travels as a fraction of the turn, say bits: 10 (1024 to the turn)")
	case o.Range != nil:
		wrong("range", "range of an angle: it has the whole turn, drop it")
	case !w.given(d, "sync.bits"):
		wrong("interp", "interp ANGLE without bits: say how many there are to the turn, such as bits: 10")
	case o.Bits < 1 || o.Bits > maxAngleBits:
		wrong("bits", "bits %d of an angle: need 1 to %d", o.Bits, maxAngleBits)
	default:
		out.Type, out.Bits = delta.Angle, uint8(o.Bits)
	}
}
