package gomsg

import (
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// parse writes ParseFast.
func (w *writer) parse(message *protogen.Message) {
	w.P()
	w.P("// ParseFast replaces the content of m, which must own all that it points to: it is used again. After an error m is empty. Nothing of b is kept.")
	w.P("func (m *", message.GoIdent, ") ParseFast(b []byte) error {")
	w.P("err := m.ReadFast(b, false, ", w.wire("DefaultRecursionLimit"), ")")
	if w.needsCheck(message.Desc, map[protoreflect.FullName]bool{}) {
		w.P("if err == nil {")
		w.P("err = ", protoPackage.Ident("CheckInitialized"), "(m)")
		w.P("}")
	}
	w.P("if err != nil {")
	w.P("m.Reset()")
	w.P("}")
	w.P("return err")
	w.P("}")
}

// read writes ReadFast: a loop over the fields that reads the value by its wire type and then says where it goes.
//
// Whatever may be used again stays in place until its turn comes. Bit k of seenN says that the N*64+k-th such field came by; what did not is emptied at the
// end. Lists count how many of their elements are new. To merge is to begin with everything seen and every element counted.
func (w *writer) read(message *protogen.Message) {
	r := reader{writer: w, message: message, seen: map[*protogen.Field]int{}}
	for _, field := range message.Fields {
		if kept(field) {
			r.seen[field] = len(r.seen)
		}
		r.has(field)
	}
	w.P()
	w.P("// ReadFast is ParseFast for generated code: merge keeps what m holds, depth is how many messages may nest. After an error m holds anything.")
	w.P("func (m *", message.GoIdent, ") ReadFast(b []byte, merge bool, depth int) error {")
	w.P("if depth--; depth < 0 {")
	w.P("return ", errorsPkg.Ident("New"), `("`, message.Desc.FullName(), `: messages nest too deep")`)
	w.P("}")
	r.begin()
	w.P("i, n := 0, 0 // place in b; length of what came last, negative: protowire's code for what is wrong with it")
	w.P("var w uint64 // number and wire type")
	w.P("read:")
	w.P("for i < len(b) {")
	if slices.ContainsFunc(message.Fields, func(field *protogen.Field) bool { return tagSize(field) > 1 }) {
		w.varint("w", "b", "i", 2)
	} else {
		w.varint("w", "b", "i", 1)
	}
	w.P("at := i")
	r.values()
	if len(message.Fields) > 0 {
		w.P("switch w {")
		for _, field := range message.Fields {
			r.field(field)
		}
		w.P("default:")
	}
	w.P("number, wire := ", w.wire("DecodeTag"), "(w)")
	w.P("if !number.IsValid() {")
	w.P("return ", fmtPackage.Ident("Errorf"), `("`, message.Desc.FullName(), `: no field can have the number %d", w>>3)`)
	w.P("}")
	w.P("if n = ", w.wire("ConsumeFieldValue"), "(number, wire, b[at:]); n < 0 {")
	w.P("break read")
	w.P("}")
	w.P("i = at + n")
	w.P("m.unknownFields = append(", w.wire("AppendTag"), "(m.unknownFields, number, wire), b[at:i]...)")
	if len(message.Fields) > 0 {
		w.P("}")
	}
	w.P("}")
	w.P("if n < 0 {")
	w.P("return ", fmtPackage.Ident("Errorf"), `("`, message.Desc.FullName(), `, field %d: %w", w>>3, `, w.wire("ParseError"), "(n))")
	w.P("}")
	r.end()
	w.P("return nil")
	w.P("}")
}

// varint writes the code that reads one from b at i into v, forms of up to short bytes without a call.
func (w *writer) varint(v, b, i string, short int) {
	w.P("if ", i, " < len(", b, ") && ", b, "[", i, "] < 0x80 {")
	w.P(v, " = uint64(", b, "[", i, "])")
	w.P(i, "++")
	if short >= 2 {
		w.P("} else if ", i, "+1 < len(", b, ") && ", b, "[", i, "+1] < 0x80 {")
		w.P(v, " = uint64(", b, "[", i, "])&0x7f | uint64(", b, "[", i, "+1])<<7")
		w.P(i, " += 2")
	}
	if short >= 3 {
		w.P("} else if ", i, "+2 < len(", b, ") && ", b, "[", i, "+2] < 0x80 {")
		w.P(v, " = uint64(", b, "[", i, "])&0x7f | uint64(", b, "[", i, "+1])&0x7f<<7 | uint64(", b, "[", i, "+2])<<14")
		w.P(i, " += 3")
	}
	w.P("} else if ", v, ", n = ", w.wire("ConsumeVarint"), "(", b, "[", i, ":]); n < 0 {")
	w.P("break read")
	w.P("} else {")
	w.P(i, " += n")
	w.P("}")
}

// kept says whether a field keeps its old value until the end, to be used again.
func kept(field *protogen.Field) bool {
	if inOneof(field) || field.Desc.IsList() || field.Desc.IsMap() {
		return false
	}
	kind := field.Desc.Kind()
	return kind == protoreflect.MessageKind || kind == protoreflect.StringKind || field.Desc.HasPresence()
}

// counted says whether a list keeps its old elements until the end, to be used again.
func counted(field *protogen.Field) bool {
	return field.Desc.IsList() && wireType(field) == protowire.BytesType
}

// reader writes one ReadFast.
type reader struct {
	*writer
	message        *protogen.Message
	seen           map[*protogen.Field]int // bits of the fields that are kept
	varints, parts bool                    // wire types that the fields use
	f32, f64       bool
}

func (r *reader) has(field *protogen.Field) {
	switch wireType(field) {
	case protowire.VarintType:
		r.varints = true
	case protowire.BytesType:
		r.parts = true
	case protowire.Fixed32Type:
		r.f32 = true
	case protowire.Fixed64Type:
		r.f64 = true
	}
	if field.Desc.IsList() {
		r.parts = true // it may come packed
	}
}

// bit of a kept field: the variable and the mask.
func (r *reader) bit(field *protogen.Field) (word, mask string) {
	return "seen" + itoa(r.seen[field]/64), "1<<" + itoa(r.seen[field]%64)
}

// count is the variable that counts a list's new elements.
func count(field *protogen.Field) string { return "n" + itoa(int(field.Desc.Number())) }

// old is the variable that holds a oneof's wrapper from before.
func old(oneof *protogen.Oneof) string { return "old" + itoa(oneof.Desc.Index()) }

// begin writes the declarations and empties what is not kept.
func (r *reader) begin() {
	for i := 0; i*64 < len(r.seen); i++ {
		r.P("var seen", i, " uint64")
	}
	for _, field := range r.message.Fields {
		if counted(field) {
			r.P(count(field), " := 0")
		}
	}
	for _, oneof := range r.message.Oneofs {
		if !oneof.Desc.IsSynthetic() {
			r.P(old(oneof), " := m.", oneof.GoName)
		}
	}
	if r.mergeable() {
		r.P("if merge {")
		for i := 0; i*64 < len(r.seen); i++ {
			r.P("seen", i, " = ^uint64(0)")
		}
		for _, field := range r.message.Fields {
			if counted(field) {
				r.P(count(field), " = len(m.", field.GoName, ")")
			}
		}
		r.P("} else {")
	} else {
		r.P("if !merge {")
	}
	for _, field := range r.message.Fields {
		x := "m." + field.GoName
		switch {
		case inOneof(field), kept(field), counted(field):
		case field.Desc.IsMap():
			r.P("clear(", x, ")")
		case field.Desc.IsList(), field.Desc.Kind() == protoreflect.BytesKind:
			r.P(x, " = ", x, "[:0]")
		case field.Desc.Kind() == protoreflect.BoolKind:
			r.P(x, " = false")
		default:
			r.P(x, " = 0")
		}
	}
	for _, oneof := range r.message.Oneofs {
		if !oneof.Desc.IsSynthetic() {
			r.P("m.", oneof.GoName, " = nil")
		}
	}
	r.P("m.unknownFields = m.unknownFields[:0]")
	r.P("}")
}

// mergeable says whether any field has an old value to watch.
func (r *reader) mergeable() bool {
	return len(r.seen) > 0 || slices.ContainsFunc(r.message.Fields, counted)
}

// end empties what was kept and did not come.
func (r *reader) end() {
	for _, field := range r.message.Fields {
		x := "m." + field.GoName
		switch {
		case kept(field):
			word, mask := r.bit(field)
			r.P("if ", word, "&(", mask, ") == 0 {")
			if field.Desc.Kind() == protoreflect.StringKind && !pointed(field) {
				r.P(x, ` = ""`)
			} else {
				r.P(x, " = nil")
			}
			r.P("}")
		case counted(field):
			r.P("clear(", x, "[", count(field), ":])")
			r.P(x, " = ", x, "[:", count(field), "]")
		}
	}
}

// values writes the code that reads a value by its wire type: v of a varint, s of what has a length, f and d of fixed width.
func (r *reader) values() {
	if !r.varints && !r.parts && !r.f32 && !r.f64 {
		return
	}
	if r.varints || r.parts {
		r.P("var v uint64")
	}
	if r.parts {
		r.P("var s []byte")
	}
	if r.f32 {
		r.P("var f uint32")
	}
	if r.f64 {
		r.P("var d uint64")
	}
	r.P("switch w & 7 {")
	if r.varints {
		r.P("case ", protowire.VarintType, ":")
		r.varint("v", "b", "i", 3)
	}
	if r.parts {
		r.P("case ", protowire.BytesType, ":")
		r.varint("v", "b", "i", 1)
		r.P("if v > uint64(len(b)-i) {")
		r.P("return ", fmtPackage.Ident("Errorf"), `("`, r.message.Desc.FullName(), `, field %d: %w", w>>3, `, ioPackage.Ident("ErrUnexpectedEOF"), ")")
		r.P("}")
		r.P("s = b[i:i+int(v)]")
		r.P("i += int(v)")
	}
	if r.f32 {
		r.fixed(protowire.Fixed32Type, "f", "ConsumeFixed32")
	}
	if r.f64 {
		r.fixed(protowire.Fixed64Type, "d", "ConsumeFixed64")
	}
	r.P("}")
}

func (r *reader) fixed(as protowire.Type, v, consume string) {
	r.P("case ", as, ":")
	r.P("if ", v, ", n = ", r.wire(consume), "(b[i:]); n < 0 {")
	r.P("break read")
	r.P("}")
	r.P("i += n")
}
