package gobind

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// kinds writes a type for every kind of entity.
func (g *generator) kinds(f *file) {
	f.doc("The kinds of entities of schema %s.", g.Name)
	f.p("const (")
	for _, k := range g.Kinds {
		f.p("Kind%s game.Kind = %d", k.Message.GoIdent.GoName, k.Def.ID)
	}
	f.p(")\n")
	quantum, placed := g.Layout.Quantum()
	if placed {
		vel := quantum * float64(g.Layout.TickHz)
		f.p("// QuantaPerMetre and VelocityPerMetre are the steps of a position to the metre, and of a velocity to the metre per second.")
		f.p("const (")
		f.p("QuantaPerMetre = %s", inverse(quantum))
		f.p("VelocityPerMetre = %s", inverse(vel))
		f.p(")\n")
	}
	for _, k := range g.Kinds {
		name := k.Message.GoIdent.GoName
		text := leading(k.Message.Comments)
		if text == "" {
			text = fmt.Sprintf("%s is kind %d of entities.", name, k.Def.ID)
		}
		f.doc("%s", text)
		f.p("type %s struct{ game.Entity }\n", name)
		f.p("// %sOf returns an entity as a %s; ok is false if it does not live, or is of another kind.", name, name)
		f.p("func %[1]sOf(e game.Entity) (k %[1]s, ok bool) {", name)
		f.p("if !e.Alive() || e.Kind() != Kind%s { return k, false }", name)
		f.p("return %s{e}, true", name)
		f.p("}\n")
		f.p("// %s yields every living %s of a zone, in order of spawning. Those spawned meanwhile are not among them, nor those despawned before their turn.", g.plural(name), name)
		f.p("func %s(z *game.Zone) iter.Seq[%s] {", g.plural(name), name)
		f.p("return func(yield func(%s) bool) {", name)
		f.p("for e := range z.OfKind(Kind%s) {", name)
		f.p("if !yield(%s{e}) { return }", name)
		f.p("}")
		f.p("}")
		f.p("}\n")
		spawners(f, k, quantum)
		for _, c := range k.Components {
			member(f, k, c)
		}
		f.p("// String shows the %s with its components, in units, for people.", name)
		f.p("func (k %s) String() string {", name)
		f.p("if _, ok := %[1]sOf(k.Entity); !ok { return fmt.Sprintf(\"%[1]s %%d{}\", k.ID()) }", name)
		if len(k.Components) == 0 {
			f.p("return fmt.Sprintf(\"%s %%d{}\", k.ID())", name)
		} else {
			var verbs, args []string
			for _, c := range k.Components {
				arg := "k." + c.Message.GoIdent.GoName + "()"
				if k.Optional(c) { // it may be absent, which its String shows
					arg = c.Message.GoIdent.GoName + "(k.Entity)"
				}
				verbs, args = append(verbs, "%v"), append(args, arg)
			}
			f.p("return fmt.Sprintf(%q, k.ID(), %s)", name+" %d{"+strings.Join(verbs, ", ")+"}", strings.Join(args, ", "))
		}
		f.p("}\n")
	}
}

// spawners writes what makes entities of a kind. Only one with a place is told where.
func spawners(f *file, k *model.Kind, quantum float64) {
	name := k.Message.GoIdent.GoName
	if !slices.ContainsFunc(k.Components, func(c *model.Component) bool { return c.Def.Motion != nil }) {
		f.p("// Spawn%[1]s makes a %[1]s. It has no place, so no client sees it.", name)
		f.p("func Spawn%[1]s(z *game.Zone) (%[1]s, error) {", name)
		f.p("e, err := z.Spawn(Kind%s, 0, 0)", name)
		f.p("return %s{e}, err", name)
		f.p("}\n")
		return
	}
	f.p("// Spawn%s makes a %s at a place in metres from the world's corner, to the nearest step. Outside the zone it fails.", name, name)
	f.p("func Spawn%[1]s(z *game.Zone, x, y float64) (%[1]s, error) {", name)
	f.p("qx, qy := math.Round(x/%[1]s), math.Round(y/%[1]s)", floatLiteral(quantum))
	f.p("if !(math.Abs(qx) < 1<<31 && math.Abs(qy) < 1<<31) {")
	f.p("return %s{}, fmt.Errorf(\"spawn %s at %%v, %%v: not within any zone\", x, y)", name, name)
	f.p("}")
	f.p("return Spawn%sQ(z, int32(qx), int32(qy))", name)
	f.p("}\n")
	f.p("// Spawn%[1]sQ makes a %[1]s at a place in steps from the world's corner. Outside the zone it fails.", name)
	f.p("func Spawn%[1]sQ(z *game.Zone, x, y int32) (%[1]s, error) {", name)
	bounds(f, k)
	f.p("e, err := z.Spawn(Kind%s, x, y)", name)
	f.p("return %s{e}, err", name)
	f.p("}\n")
}

// member writes the methods of a kind that concern one of its components.
func member(f *file, k *model.Kind, c *model.Component) {
	name, comp := k.Message.GoIdent.GoName, c.Message.GoIdent.GoName
	if !k.Optional(c) {
		f.p("// %[1]s is the %[2]s's component %[1]s.", comp, name)
		f.p("func (k %[1]s) %[2]s() %[2]s { return %[2]s(k.Entity) }\n", name, comp)
		return
	}
	f.p("// %[1]s is the %[2]s's component %[1]s, which it may lack: its methods then panic. Ask Has%[1]s first, or take it with %[1]sOf.", comp, name)
	f.p("func (k %[1]s) %[2]s() %[2]s { return %[2]s(k.Entity) }\n", name, comp)
	f.p("// Has%[1]s tells whether the %[2]s has its component %[1]s.", comp, name)
	f.p("func (k %[1]s) Has%[2]s() bool { return k.Entity.Has(Component%[2]s) }\n", name, comp)
	f.p("// Add%[1]s gives the %[2]s its component %[1]s, with default values; one that is there stays as it is.", comp, name)
	f.p("func (k %[1]s) Add%[2]s() %[2]s {", name, comp)
	f.p("k.Entity.Add(Component%s)", comp)
	f.p("return %s(k.Entity)", comp)
	f.p("}\n")
	f.p("// Remove%[1]s takes the component %[1]s from the %[2]s, with all that it holds.", comp, name)
	f.p("func (k %[1]s) Remove%[2]s() { k.Entity.Remove(Component%[2]s) }\n", name, comp)
}

// bounds refuses places outside the ranges that the kind's position has.
func bounds(f *file, k *model.Kind) {
	for _, c := range k.Components {
		if c.Def.Motion == nil {
			continue
		}
		for i, axis := range []*delta.Field{c.Def.Field(c.Def.Motion.X), c.Def.Field(c.Def.Motion.Z)} {
			x := [...]string{"x", "y"}[i]
			if bad := outOfRangeSteps(axis, x); bad != "" {
				f.p("if %s { return %s{}, outside(%q, %s, %d, %d) }", bad, k.Message.GoIdent.GoName, c.Def.Name+"."+axis.Name+" in steps", x, axis.Min, axis.Limit)
			}
		}
	}
}

// inverse is a literal of 1/v, whole where it is within rounding. checkNumbers has refused what gives no number.
func inverse(v float64) string {
	if n := math.Round(1 / v); n <= maxPerMetre && math.Abs(n-1/v) < 1e-9*n {
		return fmt.Sprintf("%d", int64(n))
	}
	return floatLiteral(1 / v)
}

// ves lists the words whose f becomes ves, as a name ends in them: Wolf, DireWolf and Werewolf. Others take an s: chiefs, roofs, safes.
func ves() []string {
	return []string{"wolf", "leaf", "elf", "dwarf", "knife", "thief", "half", "shelf", "calf", "loaf"}
}

// plural is a simple English plural, or All and the name where that is taken.
func (g *generator) plural(name string) string {
	p := plural(name)
	if g.declared()[p] > 0 {
		return "All" + name
	}
	return p
}

func plural(name string) string {
	consonant := len(name) > 1 && !strings.ContainsAny(name[len(name)-2:len(name)-1], "aeiouAEIOU")
	for _, end := range []string{"s", "x", "z", "ch", "sh"} {
		if strings.HasSuffix(name, end) {
			return name + "es"
		}
	}
	for _, word := range ves() {
		if strings.HasSuffix(strings.ToLower(name), word) {
			return strings.TrimSuffix(strings.TrimSuffix(name, "e"), "f") + "ves"
		}
	}
	switch {
	case strings.HasSuffix(name, "y") && consonant:
		return name[:len(name)-1] + "ies"
	case strings.HasSuffix(name, "o") && consonant:
		return name + "es"
	}
	return name + "s"
}
