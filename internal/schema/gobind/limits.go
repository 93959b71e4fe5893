package gobind

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// maxPerMetre is the most steps to the metre: whole numbers of them are exact in a float.
const maxPerMetre = 1 << 53

// checkNumbers refuses steps whose ends or inverses are no numbers of Go's, which the Go compiler would report without a word about the schema.
func (g *generator) checkNumbers() error {
	for _, c := range g.Components {
		if err := checkSteps(c.Def.Fields, c.Message, c.Def.Name); err != nil {
			return err
		}
		if m := c.Def.Motion; m != nil {
			x, v := c.Def.Field(m.X), c.Def.Field(m.VX)
			if !(1/x.Quantum <= maxPerMetre) || !(1/v.Quantum <= maxPerMetre) {
				return fmt.Errorf("%s: %s.%s: a position in steps of %v has more of them to the metre than numbers count exactly (2^53): make them coarser, such as quantize: 0.003125",
					where(fieldOf(c.Message, x.ID).Desc), c.Def.Name, x.Name, x.Quantum)
			}
			if vel := x.Quantum * float64(g.Layout.TickHz); math.IsInf(vel, 0) {
				return fmt.Errorf("%s: %s.%s: steps of %v at %d ticks per second give velocities beyond the greatest double: make them finer, such as quantize: 0.003125",
					where(fieldOf(c.Message, x.ID).Desc), c.Def.Name, x.Name, x.Quantum, g.Layout.TickHz)
			}
		}
	}
	return nil
}

// checkSteps looks at the fields of a message and at what they hold.
func checkSteps(fields []delta.Field, m *protogen.Message, what string) error {
	for i := range fields {
		d := &fields[i]
		pf := fieldOf(m, d.ID)
		v := value{d, pf, what + "." + d.Name}
		switch d.Type {
		case delta.List:
			v = v.element()
		case delta.Map:
			v = v.entry()
		}
		switch v.d.Type {
		case delta.Message:
			if err := checkSteps(v.d.Fields, v.pf.Message, string(v.pf.Message.Desc.Name())); err != nil {
				return err
			}
		case delta.Steps:
			low, high := v.stepLimits()
			most, of := math.MaxFloat64, "double"
			if v.pf.Desc.Kind() == protoreflect.FloatKind {
				most, of = math.MaxFloat32, "float"
			}
			if far := max(math.Abs(valueOf(v.d, low)), math.Abs(valueOf(v.d, high)), v.d.Quantum); !(far <= most) {
				return fmt.Errorf("%s: %s: steps of %v from %d to %d reach beyond the greatest %s, %v: make them finer, or give the field a range",
					where(pf.Desc), v.what, v.d.Quantum, low, high, of, most)
			}
		}
	}
	return nil
}

// where is the place of something in the schema.
func where(d protoreflect.Descriptor) string {
	at := d.ParentFile().SourceLocations().ByDescriptor(d)
	return fmt.Sprintf("%s:%d:%d", d.ParentFile().Path(), at.StartLine+1, at.StartColumn+1)
}
