package delta

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
)

// AppendJSON appends what an audience gets of a record, for people and for vectors that other languages check: one object of components, each of them an
// object of fields in the order of their places.
//
//	bool: true, false · 32 bits, steps and angles: a number · 64 bits and entities: a string of digits · float: a number, or a string if it is none
//	string: a string · bytes: hexadecimal · absent: null · message: an object · list: an array · map: an array of [key, value]
//	component that the entity lacks: null
//
// "tick" is the base tick, where the audience is AOI and the kind has a place.
func (k *KindCodec) AppendJSON(dst []byte, b *Record, a Audience) []byte {
	dst = append(dst, '{')
	if a == AOI && k.motion != nil {
		dst = strconv.AppendUint(append(dst, `"tick":`...), uint64(b.Tick), 10)
	}
	for i := range k.parts {
		p := &k.parts[i]
		if !has(p.c.def.Fields, a) {
			continue
		}
		dst = comma(dst)
		dst = append(appendString(dst, p.c.def.Name), ':')
		if p.carried != 0 && !k.told(b, i, a) {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(dst, '{')
		for j := range p.c.def.Fields {
			if f := &p.c.def.Fields[j]; f.Audience == a {
				dst = append(appendString(comma(dst), f.Name), ':')
				dst = f.appendJSON(dst, p.view(b))
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func has(fields []Field, a Audience) bool {
	for i := range fields {
		if fields[i].Audience == a {
			return true
		}
	}
	return false
}

func comma(dst []byte) []byte {
	if c := dst[len(dst)-1]; c == '{' || c == '[' {
		return dst
	}
	return append(dst, ',')
}

func appendString(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // cannot happen: a string
	}
	return append(dst, b...)
}

func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.AppendQuote(dst, strconv.FormatFloat(v, 'g', -1, 64))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return append(dst, '0') // cannot happen: a finite number
	}
	return append(dst, b...)
}

func (f *Field) appendJSON(dst []byte, b View) []byte {
	if f.HasPresence() && b.W[f.Word] == 0 {
		return append(dst, "null"...)
	}
	i := f.value()
	switch f.Type {
	case Bool:
		return strconv.AppendBool(dst, b.W[i] != 0)
	case Int32, Steps:
		return strconv.AppendInt(dst, int64(int32(b.W[i])), 10)
	case Uint32, Enum, Angle:
		return strconv.AppendUint(dst, uint64(b.W[i]), 10)
	case Int64:
		return append(strconv.AppendInt(append(dst, '"'), int64(word64(b.W, i)), 10), '"')
	case Uint64, Entity:
		return append(strconv.AppendUint(append(dst, '"'), word64(b.W, i), 10), '"')
	case Float32:
		return appendFloat(dst, float64(math.Float32frombits(b.W[i])))
	case Float64:
		return appendFloat(dst, math.Float64frombits(word64(b.W, i)))
	case String:
		return appendString(dst, string(b.V[f.Var].B))
	case Bytes:
		return append(hex.AppendEncode(append(dst, '"'), b.V[f.Var].B), '"')
	case Message:
		dst = append(dst, '{')
		for j := range f.Fields {
			dst = append(appendString(comma(dst), f.Fields[j].Name), ':')
			dst = f.Fields[j].appendJSON(dst, b)
		}
		return append(dst, '}')
	}
	dst = append(dst, '[')
	for j := range b.V[f.Var].E {
		e := &b.V[f.Var].E[j]
		dst = comma(dst)
		if f.Type == List {
			dst = f.Fields[0].appendJSON(dst, View{e.W, e.V})
			continue
		}
		dst = f.Fields[0].appendJSON(append(dst, '['), View{e.W, e.V})
		dst = f.Fields[1].appendJSON(append(dst, ','), View{e.W, e.V})
		dst = append(dst, ']')
	}
	return append(dst, ']')
}
