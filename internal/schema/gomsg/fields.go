package gomsg

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// field writes the cases of one field: the value lies in v, s, f or d.
func (r *reader) field(field *protogen.Field) {
	x := "m." + field.GoName
	key, _ := tag(field, wireType(field))
	if field.Desc.IsMap() {
		key, _ = tag(field, protowire.BytesType)
	}
	r.P("case ", key, ": // ", field.Desc.Name(), " = ", field.Desc.Number())
	switch {
	case field.Desc.IsMap():
		r.mapEntry(field, x)
	case field.Desc.IsList():
		r.element(field, x)
		if packable(field) {
			key, _ := tag(field, protowire.BytesType)
			r.P("case ", key, ": // ", field.Desc.Name(), " = ", field.Desc.Number(), ", packed")
			r.packed(field, x)
		}
	case inOneof(field):
		r.member(field)
	case kept(field):
		word, mask := r.bit(field)
		switch {
		case field.Desc.Kind() == protoreflect.MessageKind:
			r.readMessage(field, x, word+"&("+mask+") != 0", "depth")
		case pointed(field):
			r.P("if ", x, " == nil {")
			r.P(x, " = new(", r.goType(field), ")")
			r.P("}")
			r.assign(field, "*"+x)
		default:
			r.assign(field, x)
		}
		r.P(word, " |= ", mask)
	default:
		r.assign(field, x)
	}
}

// read is the variable that holds the field's value.
func read(field *protogen.Field) string {
	switch wireType(field) {
	case protowire.Fixed32Type:
		return "f"
	case protowire.Fixed64Type:
		return "d"
	case protowire.BytesType:
		return "s"
	}
	return "v"
}

// assign writes the code that gives x a value that is no message.
func (r *reader) assign(field *protogen.Field, x string) {
	switch field.Desc.Kind() {
	case protoreflect.StringKind:
		r.checkUTF8(field)
		r.P("if ", x, " != string(s) {")
		r.P(x, " = string(s)")
		r.P("}")
	case protoreflect.BytesKind:
		r.P(x, " = append(", x, "[:0], s...)")
		if field.Desc.HasPresence() { // nil would be absent
			r.P("if ", x, " == nil {")
			r.P(x, " = []byte{}")
			r.P("}")
		}
	default:
		r.P(x, " = ", r.value(field, read(field)))
	}
}

func (r *reader) checkUTF8(field *protogen.Field) {
	r.P("if !", utf8Package.Ident("Valid"), "(s) {")
	r.P("return ", r.notUTF8(field))
	r.P("}")
}

// readMessage writes the code that reads s into the message x, made if it is missing; merge is an expression.
func (r *reader) readMessage(field *protogen.Field, x, merge, depth string) {
	r.P("if ", x, " == nil {")
	r.P(x, " = new(", r.goType(field), ")")
	if r.isFast(field) {
		r.P("}")
		r.P("if err := ", x, ".ReadFast(s, ", merge, ", ", depth, "); err != nil {")
		r.P("return err")
		r.P("}")
		return
	}
	switch merge {
	case "true":
	case "false":
		r.P("} else {")
		r.P(protoPackage.Ident("Reset"), "(", x, ")")
	default:
		r.P("} else if !(", merge, ") {")
		r.P(protoPackage.Ident("Reset"), "(", x, ")")
	}
	r.P("}")
	r.P("if ", depth, " <= 0 {")
	r.P("return ", errorsPkg.Ident("New"), `("`, named(field), `: messages nest too deep")`)
	r.P("}")
	r.unmarshal(field, x, depth)
}

// unmarshal writes the code that adds s to the foreign message x; what is required is looked for once, by ParseFast.
func (r *reader) unmarshal(field *protogen.Field, x, depth string) {
	r.P("if err := (", protoPackage.Ident("UnmarshalOptions"), "{Merge: true, AllowPartial: true, RecursionLimit: ", depth, "}).",
		"Unmarshal(s, ", x, "); err != nil {")
	r.P("return ", fmtPackage.Ident("Errorf"), `("`, named(field), `: %w", err)`)
	r.P("}")
}

// element writes the code that adds one element to the list x.
func (r *reader) element(field *protogen.Field, x string) {
	if !counted(field) {
		r.P(x, " = append(", x, ", ", r.value(field, read(field)), ")")
		return
	}
	n := count(field)
	switch field.Desc.Kind() {
	case protoreflect.StringKind:
		r.checkUTF8(field)
		r.P("if ", n, " == len(", x, ") {")
		r.P(x, " = append(", x, ", string(s))")
		r.P("} else if ", x, "[", n, "] != string(s) {")
		r.P(x, "[", n, "] = string(s)")
		r.P("}")
	case protoreflect.BytesKind:
		r.P("if ", n, " == len(", x, ") {")
		r.P(x, " = append(", x, ", append([]byte{}, s...))")
		r.P("} else {")
		r.P(x, "[", n, "] = append(", x, "[", n, "][:0], s...)")
		r.P("}")
	default:
		r.P("if ", n, " == len(", x, ") {")
		r.P(x, " = append(", x, ", nil)")
		r.P("}")
		r.readMessage(field, x+"["+n+"]", "false", "depth")
	}
	r.P(n, "++")
}

// packed writes the code that adds the elements in s to the list x.
func (r *reader) packed(field *protogen.Field, x string) {
	r.P("{")
	if fixed := width(field); fixed > 1 {
		r.P(x, " = ", slicesPkg.Ident("Grow"), "(", x, ", len(s)/", fixed, ")")
		r.P("for len(s) > 0 {")
		r.P("var e uint", fixed*8)
		r.P("if e, n = ", r.wire("ConsumeFixed"+itoa(fixed*8)), "(s); n < 0 {")
		r.P("break read")
		r.P("}")
		r.P("s = s[n:]")
	} else {
		// The last byte of a varint is the one without the high bit.
		r.P("k, l := 0, 0")
		r.P("for _, c := range s {")
		r.P("if c < 0x80 {")
		r.P("l++")
		r.P("}")
		r.P("}")
		r.P(x, " = ", slicesPkg.Ident("Grow"), "(", x, ", l)")
		r.P("for k < len(s) {")
		r.P("var e uint64")
		r.varint("e", "s", "k", 3)
	}
	r.P(x, " = append(", x, ", ", r.value(field, "e"), ")")
	r.P("}")
	r.P("}")
}

// member writes the code that sets one field of a oneof: its wrapper from before is used again.
func (r *reader) member(field *protogen.Field) {
	x := "m." + field.Oneof.GoName
	r.P("o, ok := ", x, ".(*", field.GoIdent, ")")
	r.P("if ok = ok && o != nil; !ok {")
	r.P("if o, _ = ", old(field.Oneof), ".(*", field.GoIdent, "); o == nil {")
	r.P("o = new(", field.GoIdent, ")")
	r.P("}")
	r.P(x, " = o")
	r.P("}")
	if field.Desc.Kind() == protoreflect.MessageKind {
		r.readMessage(field, "o."+field.GoName, "ok", "depth")
	} else {
		r.assign(field, "o."+field.GoName)
	}
}

// mapEntry writes the code that reads the entry in s. An entry is a message: it counts as a level, but what it does not know is dropped.
//
// Types of other packages are named where its variables are in scope: a name of one letter is no package's.
func (r *reader) mapEntry(field *protogen.Field, x string) {
	key, val := field.Message.Fields[0], field.Message.Fields[1]
	isMessage := val.Desc.Kind() == protoreflect.MessageKind
	r.P("if depth <= 0 {")
	r.P("return ", errorsPkg.Ident("New"), `("`, named(field), `: messages nest too deep")`)
	r.P("}")
	r.P("if ", x, " == nil {")
	if isMessage {
		r.P(x, " = make(map[", r.goType(key), "]*", r.goType(val), ")")
	} else {
		r.P(x, " = make(map[", r.goType(key), "]", r.goType(val), ")")
	}
	r.P("}")
	r.P("var k ", r.goType(key))
	switch {
	case isMessage:
		r.P("x := new(", r.goType(val), ")")
	case val.Desc.Kind() == protoreflect.BytesKind:
		r.P("x := []byte{}")
	default:
		r.P("var x ", r.goType(val))
	}
	r.P("for r := s; len(r) > 0; {")
	r.P("num, typ, l := ", r.wire("ConsumeTag"), "(r)")
	r.P("if n = l; n < 0 {")
	r.P("break read")
	r.P("}")
	r.P("if !num.IsValid() {")
	r.P("return ", fmtPackage.Ident("Errorf"), `("`, named(field), `: no field can have the number %d", num)`)
	r.P("}")
	r.P("r = r[n:]")
	r.P("switch {")
	for i, part := range []*protogen.Field{key, val} {
		r.P("case num == ", part.Desc.Number(), " && typ == ", wireType(part), ":")
		v := read(part)
		consume := map[protowire.Type]string{protowire.VarintType: "ConsumeVarint", protowire.BytesType: "ConsumeBytes",
			protowire.Fixed32Type: "ConsumeFixed32", protowire.Fixed64Type: "ConsumeFixed64"}[wireType(part)]
		r.P(v, ", l := ", r.wire(consume), "(r)")
		r.P("if n = l; n < 0 {")
		r.P("break read")
		r.P("}")
		name := [2]string{"k", "x"}[i]
		switch part.Desc.Kind() {
		case protoreflect.MessageKind:
			r.readEntryMessage(part)
		case protoreflect.StringKind:
			r.checkUTF8(part)
			r.P(name, " = string(s)")
		default:
			r.assign(part, name)
		}
	}
	r.P("default:")
	r.P("if n = ", r.wire("ConsumeFieldValue"), "(num, typ, r); n < 0 {")
	r.P("break read")
	r.P("}")
	r.P("}")
	r.P("r = r[n:]")
	r.P("}")
	r.P(x, "[k] = x")
}

// readEntryMessage writes the code that reads s into x, which is new.
func (r *reader) readEntryMessage(part *protogen.Field) {
	if r.isFast(part) {
		r.P("if err := x.ReadFast(s, true, depth-1); err != nil {")
		r.P("return err")
		r.P("}")
		return
	}
	r.P("if depth <= 1 {")
	r.P("return ", errorsPkg.Ident("New"), `("`, named(part), `: messages nest too deep")`)
	r.P("}")
	r.unmarshal(part, "x", "depth-1")
}
