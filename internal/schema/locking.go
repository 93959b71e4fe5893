package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/lock"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// lockFile is the name of a schema's lock, beside the .proto file that carries its option.
const lockFile = "schema.lock"

// promise describes the schema as its lock does.
func (s *schema) promise() lock.Body {
	body := lock.Body{TickHz: s.tick, Layout: s.layoutSum()}
	needed := map[protoreflect.FullName]bool{}
	for _, r := range s.Routes {
		reply := "-"
		if r.Reply != nil {
			reply = string(r.Reply.Desc.FullName())
			s.promiseMessage(&body, r.Reply, needed)
		}
		s.promiseMessage(&body, r.Message, needed)
		body.Routes = append(body.Routes, lock.Route{ID: r.ID, Name: r.Name, Kind: r.Kind.String(), Direction: r.Direction.String(),
			Message: string(r.Message.Desc.FullName()), Reply: reply})
	}
	for _, k := range s.Kinds {
		var names []string
		for _, c := range k.Components {
			name := c.Def.Name
			if k.Optional(c) {
				name += lock.Optional
			}
			names = append(names, name)
		}
		body.Kinds = append(body.Kinds, lock.Kind{ID: k.Def.ID, Name: k.Def.Name, Components: names})
	}
	for _, c := range s.Components {
		s.promiseMessage(&body, c.Message, needed)
		body.Components = append(body.Components, lock.Component{ID: c.Def.ID, Name: c.Def.Name, Motion: motionForm(c.Def.Motion)})
		for _, f := range c.Message.Fields {
			s.promiseState(&body, c.Def.ID, nil, c.Def.Field(uint32(f.Desc.Number())), f.Desc)
		}
	}
	body.Sort()
	return body
}

// promiseRPC describes what services promise: to processes of ours, which are not all updated at once.
func (s *schema) promiseRPC() lock.Body {
	var body lock.Body
	needed := map[protoreflect.FullName]bool{}
	for _, v := range s.Services {
		for _, m := range v.Methods {
			entry := lock.Method{Name: m.Name, Request: string(m.Input.Desc.FullName()), Response: string(m.Output.Desc.FullName()), Form: m.Form.String()}
			body.Methods = append(body.Methods, entry)
			s.places[entry.Key()] = named(m.Desc)
			s.promiseMessage(&body, m.Input, needed)
			s.promiseMessage(&body, m.Output, needed)
		}
	}
	s.promiseCalls(&body, needed)
	body.Sort()
	return body
}

// placeOf is where a mistake about something of the lock is shown; a method that is gone at its service.
func (s *schema) placeOf(key string) place {
	if at, ok := s.places[key]; ok {
		return at
	}
	if name, ok := strings.CutPrefix(key, "method "); ok {
		if at, ok := s.places["service "+lock.Method{Name: name}.Service()]; ok {
			return at
		}
	}
	return option(s.file.Desc, "schema")
}

// promiseMessage describes the fields of a message and of those in it.
func (s *schema) promiseMessage(body *lock.Body, m *protogen.Message, needed map[protoreflect.FullName]bool) {
	if needed[m.Desc.FullName()] {
		return
	}
	needed[m.Desc.FullName()] = true
	body.Messages = append(body.Messages, string(m.Desc.FullName()))
	for _, f := range m.Fields {
		d := f.Desc
		entry := lock.Field{Message: string(m.Desc.FullName()), Number: uint32(d.Number()), Name: string(d.Name()), Label: "one"}
		switch {
		case d.IsMap():
			entry.Type, entry.Label = strings.ReplaceAll(typeName(d), " ", ""), "map"
		case d.IsList():
			entry.Type, entry.Label = strings.TrimPrefix(typeName(d), "repeated "), "repeated"
		default:
			entry.Type = strings.TrimPrefix(typeName(d), "optional ")
			if oneof := d.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
				entry.Label = "oneof"
			} else if d.HasPresence() && d.Message() == nil {
				entry.Label = "optional"
			}
		}
		body.Fields = append(body.Fields, entry)
		s.places[entry.Key()] = named(d)
		inner := f
		if d.IsMap() {
			inner = f.Message.Fields[1]
		}
		if inner.Message != nil {
			s.promiseMessage(body, inner.Message, needed)
		}
		if inner.Enum != nil {
			s.promiseEnum(body, inner.Enum, needed)
		}
	}
}

// promiseEnum describes the numbers of an enum.
func (s *schema) promiseEnum(body *lock.Body, e *protogen.Enum, needed map[protoreflect.FullName]bool) {
	if needed[e.Desc.FullName()] {
		return
	}
	needed[e.Desc.FullName()] = true
	byNumber := map[protoreflect.EnumNumber]int{} // places in body.Enums
	for _, v := range e.Values {
		i, known := byNumber[v.Desc.Number()]
		if !known {
			i = len(body.Enums)
			byNumber[v.Desc.Number()] = i
			body.Enums = append(body.Enums, lock.Enum{Name: string(e.Desc.FullName()), Number: int32(v.Desc.Number())})
			s.places[body.Enums[i].Key()] = named(v.Desc)
		}
		body.Enums[i].Values = append(body.Enums[i].Values, string(v.Desc.Name()))
	}
}

// layoutSum is the beginning of the SHA-256 of the layout table, in hexadecimal. With it in the lock nothing that the table says changes while the fingerprint
// stays: a client with the same fingerprint reads state with the table that it was built with.
func (s *schema) layoutSum() string {
	plain := s.layout
	plain.Fingerprint = 0
	sum := sha256.Sum256(plain.Table())
	return hex.EncodeToString(sum[:4])
}

// promiseState describes how a field of a component travels, and those in it. d is where a mistake about it is shown.
func (s *schema) promiseState(body *lock.Body, component uint16, above []uint32, f *delta.Field, d protoreflect.FieldDescriptor) {
	entry := lock.State{Component: component, Path: append(slices.Clone(above), f.ID), Name: f.Name, Form: stateForm(f), Bound: f.Max}
	body.States = append(body.States, entry)
	s.places[entry.Key()] = named(d)
	for i := range f.Fields {
		inner := &f.Fields[i]
		place := d
		if f.Type == delta.Message && d.Message() != nil {
			m := d.Message()
			if d.IsMap() {
				m = d.MapValue().Message()
			}
			if nested := m.Fields().ByNumber(protoreflect.FieldNumber(inner.ID)); nested != nil {
				place = nested
			}
		}
		s.promiseState(body, component, entry.Path, inner, place)
	}
}

// stateForm is what of a field must not change.
func stateForm(f *delta.Field) string {
	types := []string{"", "bool", "int32", "uint32", "int64", "uint64", "enum", "float32", "float64", "steps", "angle", "entity", "string", "bytes", "message", "list", "map"}
	words := []string{types[f.Type]}
	add := func(name, value string) { words = append(words, name+"="+value) }
	if f.Optional {
		words = append(words, "optional")
	}
	if f.Bits > 0 {
		add("bits", strconv.Itoa(int(f.Bits)))
		if f.Type != delta.Enum && f.Type != delta.Angle {
			add("min", strconv.FormatInt(f.Min, 10))
			add("max", strconv.FormatInt(f.Limit, 10))
		}
	}
	if f.Type == delta.Steps {
		add("quantum", strconv.FormatFloat(f.Quantum, 'g', -1, 64))
		if f.Origin != 0 {
			add("origin", strconv.FormatFloat(f.Origin, 'g', -1, 64))
		}
	}
	if f.Audience != delta.AOI {
		words = append(words, audience(f.Audience))
	}
	return strings.Join(words, ",")
}

func audience(a delta.Audience) string { return []string{"aoi", "owner", "party", "server"}[a] }

func motionForm(m *delta.Motion) string {
	if m == nil {
		return "-"
	}
	form := fmt.Sprintf("x=%d,z=%d,vx=%d,vz=%d", m.X, m.Z, m.VX, m.VZ)
	if m.Y != 0 {
		form += fmt.Sprintf(",y=%d,vy=%d", m.Y, m.VY)
	}
	if m.Heading != 0 {
		form += fmt.Sprintf(",heading=%d", m.Heading)
	}
	if m.Polar {
		form += ",polar"
	}
	return form
}

// settle holds the schemas against their locks, gives them their fingerprints and returns the new text of every lock, by its name relative to the root.
func (b *builder) settle(all []*schema, o Options) (map[string][]byte, error) {
	texts := map[string][]byte{}
	broken := false
	for _, s := range all {
		name := s.lockName()
		shown := below(b.tree.root, name)
		var old *lock.Lock
		text, err := os.ReadFile(filepath.Join(b.tree.root, filepath.FromSlash(name)))
		if err == nil {
			if old, err = lock.Parse(shown, text); err != nil {
				return nil, err
			}
			if old.Sum != old.Body.Sum() && !old.Merged && o.Note != nil {
				o.Note(fmt.Sprintf("%s: its sum is not that of its lines: if it was edited by hand, restore it from version control; if a merge kept one side of the sum, all is well", shown))
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the lock of package %s: %w", s.Package, err)
		}
		next, wrong, err := lock.Next(old, s.promise(), s.promiseRPC(), o.Break)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shown, err)
		}
		shownAt := map[place]bool{}
		for _, m := range wrong {
			at, method := s.placeOf(m.Key), strings.HasPrefix(m.Key, "method ")
			if !shownAt[at] || method { // a field that changes its type also changes how it travels, and methods that are gone share a place
				b.add(at, "%s", m.Text)
			}
			shownAt[at] = shownAt[at] || !method
		}
		if next == nil {
			continue
		}
		if o.gently && old != nil && len(next.Body.Retired)+len(next.RPC.Retired) > len(old.Body.Retired)+len(old.RPC.Retired) {
			return nil, fmt.Errorf("%s: %w", shown, retiring(old, next))
		}
		broken = broken || next.Broke
		s.Fingerprint = protocol.NewFingerprint(next.Generation, next.Revision, next.Sum)
		s.layout.Fingerprint = s.Fingerprint.Uint64()
		texts[name] = next.Text()
		if _, err := lock.Parse(shown, texts[name]); err != nil { // it would stop every later run
			return nil, fmt.Errorf("the new lock of package %s could not be read again: %w", s.Package, err)
		}
	}
	if o.Break != "" && !broken && len(b.list) == 0 {
		return nil, errors.New("nothing in the schema breaks what schema.lock promised: run again without a reason for a break, so that deployed clients go on working")
	}
	return texts, b.strayLocks(texts)
}

// retiring words what a change would end for good.
func retiring(old, next *lock.Lock) error {
	var keys []string
	before := slices.Concat(old.Body.Retired, old.RPC.Retired)
	for _, r := range slices.Concat(next.Body.Retired, next.RPC.Retired) {
		if !slices.Contains(before, r) {
			keys = append(keys, fmt.Sprintf("%s (%s)", r.Key(), r.Name))
		}
	}
	return fmt.Errorf("this change removes %s, which retires the id for good: nothing is written while watching; put it back, or run mmo gen once to confirm", strings.Join(keys, ", "))
}

// strayLocks refuses locks that no schema stands beside: the schema moved and would begin a new life without its promises.
func (b *builder) strayLocks(texts map[string][]byte) error {
	names, err := find(b.tree.root, lockFile)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, known := texts[name]; !known && path.Base(name) == lockFile && len(b.list) == 0 {
			return fmt.Errorf("%s:1: no .proto file beside it carries option (mmo.schema): move it beside the one that does, or delete it if the schema is gone for good", below(b.tree.root, name))
		}
	}
	return nil
}
