package schema

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

const (
	defaultElements = 64   // of a list or map
	defaultBytes    = 255  // of a string or bytes
	maxFields       = 4096 // of one component, which the codec refuses too; here it bounds messages that hold messages that hold messages
	maxAngleBits    = 16
	maxRangeBits    = 53 // of a ranged number: what JavaScript counts exactly
	maxFloatSteps   = 1 << 23
)

// walk is the way from a component down to one of its fields.
type walk struct {
	field   *protogen.Field         // of the component, which stands for nested ones that have no place in the tree
	types   []protoreflect.FullName // messages on the way, the component first
	persist bool                    // the component's field is stored
	key     bool                    // of a map: options of the field are about its values
	count   *int                    // fields of the component so far, nested ones counted as often as they are held
}

// own tells whether a field is the component's, not one of a nested message.
func (w *walk) own() bool { return len(w.types) == 1 }

// given tells whether an option of a field that is about what is being looked at was written down.
func (w *walk) given(d protoreflect.Descriptor, names string) bool { return !w.key && given(d, names) }

// spot is the place of a field's option, or of the component's field if the field is declared outside the tree.
func (b *builder) spot(w *walk, d protoreflect.FieldDescriptor, names string) place {
	switch {
	case !slices.Contains(b.sources, d.ParentFile().Path()):
		return typed(w.field.Desc)
	case names == "":
		return typed(d)
	}
	return option(d, names)
}

// field makes the layout's field of a message's field.
func (b *builder) field(w *walk, f *protogen.Field) delta.Field {
	d := f.Desc
	o := optionOf[*mmo.Sync](d, mmo.E_Sync)
	if o == nil {
		o = &mmo.Sync{}
	}
	out := delta.Field{ID: uint32(d.Number()), Name: string(d.Name())}
	if f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() {
		b.add(b.spot(w, d, ""), "field %s belongs to oneof %s, which components have no form for: make its members optional fields, or messages, of which one is set",
			d.Name(), f.Oneof.Desc.Name())
	}
	b.reach(w, f, o, &out)
	switch {
	case d.IsMap():
		out.Type = delta.Map
		key := delta.Field{ID: 1, Name: "key"}
		w.key = true
		b.value(w, d, d.MapKey(), &mmo.Sync{}, &key)
		w.key = false
		value := delta.Field{ID: 2, Name: "value"}
		b.value(w, d, d.MapValue(), o, &value)
		b.element(w, f.Message.Fields[1], &value)
		out.Fields = []delta.Field{key, value}
	case d.IsList():
		out.Type = delta.List
		element := delta.Field{ID: 1, Name: "element"}
		b.value(w, d, d, o, &element)
		b.element(w, f, &element)
		out.Fields = []delta.Field{element}
	default:
		b.value(w, d, d, o, &out)
		b.element(w, f, &out)
		out.Optional = d.HasPresence() && d.Message() == nil
	}
	b.size(w, d, o, &out)
	if o.Interp == mmo.Sync_LINEAR && !blends(out.Type) {
		b.add(b.spot(w, d, "sync.interp"), "interp LINEAR on %s: there is nothing between two of its values, drop it", typeName(d))
	}
	return out
}

// blends tells whether clients can blend between two values.
func blends(t delta.Type) bool {
	return t >= delta.Int32 && t <= delta.Uint64 || t >= delta.Float32 && t <= delta.Steps
}

// reach fills who gets the field and how eagerly, which only fields of the component itself say.
func (b *builder) reach(w *walk, f *protogen.Field, o *mmo.Sync, out *delta.Field) {
	d := f.Desc
	out.Interp = delta.Interp(o.Interp) // NONE, LINEAR, ANGLE are Jump, Linear, Turn
	if !w.own() {
		for _, name := range []string{"audience", "priority", "predicted", "persist", "tolerance"} {
			if given(d, "sync."+name) {
				b.add(b.spot(w, d, "sync."+name), "%s on a field of %s, which is part of component %s: only the component's own fields have it, set it on field %s there",
					name, w.types[len(w.types)-1], w.types[0], w.field.Desc.Name())
			}
		}
		return
	}
	out.Audience, out.Priority, out.Predicted, out.Persist = delta.Audience(o.Audience), uint8(o.Priority), o.Predicted, w.persist
	if o.Audience == mmo.Sync_SERVER {
		for name, set := range map[string]bool{
			"interp": o.Interp == mmo.Sync_LINEAR, "priority": o.Priority != 0, "predicted": o.Predicted, "tolerance": len(o.Tolerance) > 0,
		} {
			if set {
				b.add(option(d, "sync."+name), "%s on a field that never leaves the server: nobody would see it, drop it or the audience", name)
			}
		}
	}
	if o.Predicted && o.Audience == mmo.Sync_PARTY {
		b.add(option(d, "sync.predicted"), "predicted on a field for the PARTY: a client predicts its own entity, say audience: OWNER or drop predicted")
	}
	least := 0.0
	for i, t := range o.Tolerance {
		at := option(d, "sync.tolerance", i)
		switch {
		case !(t.Distance > least) || math.IsInf(t.Distance, 0):
			b.add(at, "tolerance at distance %v: distances are greater than 0 and rise from one to the next", t.Distance)
		case !(t.By > 0) || math.IsInf(t.By, 0):
			b.add(at, "tolerance by %v: say by how much the value may be off, in the field's units", t.By)
		case d.IsList() || d.IsMap() || o.Entity || !number(d.Kind()):
			b.add(at, "tolerance on %s: only numbers are nearly right, drop it", typeName(d))
		}
		least = t.Distance
	}
}

// number tells whether a kind is a quantity.
func number(k protoreflect.Kind) bool {
	switch k {
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return false
	}
	return true
}

// value fills type and range. d is where the options stand; v is d itself, or the key or value of a map.
func (b *builder) value(w *walk, d, v protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	switch v.Kind() {
	case protoreflect.BoolKind:
		out.Type = delta.Bool
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		out.Type = delta.Int32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		out.Type = delta.Uint32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		out.Type = delta.Int64
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		out.Type = delta.Uint64
	case protoreflect.EnumKind:
		b.enum(w, d, v.Enum(), o, out)
	case protoreflect.FloatKind:
		out.Type = delta.Float32
	case protoreflect.DoubleKind:
		out.Type = delta.Float64
	case protoreflect.StringKind:
		out.Type, out.Max = delta.String, defaultBytes
	case protoreflect.BytesKind:
		out.Type, out.Max = delta.Bytes, defaultBytes
	case protoreflect.MessageKind:
		out.Type = delta.Message
	default:
		out.Type = delta.Bool // to go on with
		b.add(b.spot(w, d, ""), "field %s is a group: declare a message and a field of its type", d.Name())
	}
	wrong := func(name, format string, args ...any) { b.add(b.spot(w, d, "sync."+name), format, args...) }
	if o.Entity {
		if v.Kind() != protoreflect.Uint64Kind {
			wrong("entity", "entity on %s: ids of entities are 64 bits wide, make the field uint64", typeName(d))
		}
		for name, set := range map[string]bool{"bits": o.Bits != 0, "range": o.Range != nil, "interp": o.Interp != 0} {
			if set {
				wrong(name, "%s on an entity reference: an id is no quantity, drop it", name)
			}
		}
		out.Type = delta.Entity
		if w.persist && !w.own() {
			b.add(b.spot(w, w.field.Desc, ""), "field %s is stored and holds the entity reference %s: ids of entities do not outlive their zone, say persist: false or keep another key",
				w.field.Desc.Name(), d.FullName())
		} else if w.own() && (d.IsList() || d.IsMap() || o.Persist != nil) && w.persist {
			b.add(b.spot(w, d, persistOr(d)), "persist on the entity reference %s: ids of entities do not outlive their zone, say persist: false or keep another key", d.Name())
		}
		out.Persist = false
		return
	}
	switch {
	case v.Kind() == protoreflect.FloatKind || v.Kind() == protoreflect.DoubleKind:
		b.float(w, d, o, out)
	case out.Type >= delta.Int32 && out.Type <= delta.Uint64:
		b.integer(w, d, o, out)
	default:
		for name, set := range map[string]bool{
			"quantize": w.given(d, "sync.quantize"), "bits": w.given(d, "sync.bits") && out.Type != delta.Enum, "range": o.Range != nil, "interp": o.Interp == mmo.Sync_ANGLE,
		} {
			if set {
				wrong(name, "%s on %s: only numbers have it, drop it", name, typeName(d))
			}
		}
	}
}

func persistOr(d protoreflect.FieldDescriptor) string {
	if given(d, "sync.persist") {
		return "sync.persist"
	}
	return "sync.entity"
}

// enum fills the bits of an enum: as many as its greatest number needs, or more to have room.
func (b *builder) enum(w *walk, d protoreflect.FieldDescriptor, e protoreflect.EnumDescriptor, o *mmo.Sync, out *delta.Field) {
	out.Type = delta.Enum
	var greatest uint32
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		if v.Number() < 0 {
			b.add(b.spot(w, d, ""), "enum %s has the negative number %d (%s), which components have no form for: renumber it, or use a plain int32", e.FullName(), v.Number(), v.Name())
			continue
		}
		greatest = max(greatest, uint32(v.Number()))
	}
	least := max(bits.Len32(greatest), 1)
	out.Bits = uint8(least)
	switch {
	case !w.given(d, "sync.bits"):
	case int(o.Bits) < least || o.Bits > 31:
		b.add(b.spot(w, d, "sync.bits"), "bits %d for enum %s, whose greatest number is %d: need %d to 31, or drop it", o.Bits, e.FullName(), greatest, least)
	default:
		out.Bits = uint8(o.Bits)
	}
}

// element goes into a message: the value itself, or what a list or map holds.
func (b *builder) element(w *walk, f *protogen.Field, out *delta.Field) {
	if out.Type != delta.Message || f.Message == nil {
		return
	}
	name := f.Message.Desc.FullName()
	switch {
	case slices.Contains(w.types, name):
		b.add(b.spot(w, w.inTree(f), ""), "message %s holds itself: a component has a bounded size, so keep keys in place of the inner ones", name)
		return
	case len(w.types) > delta.MaxDepth:
		b.add(b.spot(w, w.inTree(f), ""), "message %s is nested more than %d deep: flatten it", name, delta.MaxDepth)
		return
	case len(f.Message.Fields) == 0:
		b.add(b.spot(w, w.inTree(f), ""), "message %s has no field, so there is nothing to send: make the field a bool", name)
	}
	b.reached[name] = true
	inner := &walk{field: w.field, types: append(slices.Clone(w.types), name), persist: w.persist, count: w.count}
	for _, nested := range f.Message.Fields {
		if *w.count++; *w.count > maxFields {
			b.add(typed(w.field.Desc), "component %s has more than %d fields, those of the messages in it counted: make it smaller", w.types[0], maxFields)
			return
		}
		out.Fields = append(out.Fields, b.field(inner, nested))
	}
	byNumber(out.Fields)
}

// inTree is the field that a mistake about f is shown at: the values of maps have no place of their own.
func (w *walk) inTree(f *protogen.Field) protoreflect.FieldDescriptor {
	if f.Desc.ContainingMessage().IsMapEntry() {
		return w.field.Desc
	}
	return f.Desc
}

// size fills the bounds of what has no fixed size.
func (b *builder) size(w *walk, d protoreflect.FieldDescriptor, o *mmo.Sync, out *delta.Field) {
	switch out.Type {
	case delta.List, delta.Map:
		out.Max = defaultElements
	case delta.String, delta.Bytes:
	default:
		if given(d, "sync.max") {
			hint := "drop it"
			if out.Type != delta.Message && out.Type != delta.Bool {
				hint = "to bound a number say range: {max: …}"
			}
			b.add(b.spot(w, d, "sync.max"), "max on %s: it bounds elements of repeated and map fields and bytes of strings, %s", typeName(d), hint)
		}
		return
	}
	if !given(d, "sync.max") && o.Max == 0 {
		return
	}
	if o.Max < 1 || o.Max > delta.MaxElements {
		unit := "bytes"
		if strings.HasPrefix(typeName(d), "repeated") || d.IsMap() {
			unit = "elements"
		}
		b.add(b.spot(w, d, "sync.max"), "max %d: need 1 to %d %s", o.Max, delta.MaxElements, unit)
		return
	}
	out.Max = o.Max
}
