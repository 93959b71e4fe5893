package lock

import (
	"fmt"
	"slices"
	"strings"
)

// Mistake is a change that would break programs that are already out there. Key names what changed, see Route.Key.
type Mistake struct{ Key, Text string }

// Compare holds a new body against the one that was promised. retired is what ends its life with this change, and what had ended before.
func Compare(promised, next *Body) (mistakes []Mistake, retired []Retired) {
	c := &comparison{old: promised, next: next}
	c.retired = append(c.retired, promised.Retired...)
	c.methods()
	c.calls()
	c.routes()
	c.kinds()
	c.components()
	c.fields()
	c.states()
	c.enums()
	c.reused()
	return c.mistakes, c.retired
}

type comparison struct {
	old, next *Body
	mistakes  []Mistake
	retired   []Retired
}

func (c *comparison) wrong(key, format string, args ...any) {
	c.mistakes = append(c.mistakes, Mistake{key, fmt.Sprintf(format, args...)})
}

func (c *comparison) retire(what, message string, id uint32, name string) {
	r := Retired{what, message, id, name}
	if !slices.ContainsFunc(c.retired, func(o Retired) bool { return o.Key() == r.Key() }) { // a merge may leave a line that one side retired
		c.retired = append(c.retired, r)
	}
}

func byKey[T interface{ Key() string }](list []T) map[string]T {
	m := make(map[string]T, len(list))
	for _, v := range list {
		m[v.Key()] = v
	}
	return m
}

// differences words what of several properties changed: "the name is now b (the lock says a)".
func differences(pairs ...string) string {
	var found []string
	for i := 0; i < len(pairs); i += 3 {
		if pairs[i+1] != pairs[i+2] {
			found = append(found, fmt.Sprintf("%s %s became %s", pairs[i], pairs[i+1], pairs[i+2]))
		}
	}
	return strings.Join(found, ", ")
}

// methods have no numbers that could retire: who calls one knows its name, so it stays until everyone who does is gone.
func (c *comparison) methods() {
	next := byKey(c.next.Methods)
	for _, was := range c.old.Methods {
		now, still := next[was.Key()]
		if !still {
			c.wrong(was.Key(), "method %s is in schema.lock and no longer in the schema: processes that are not updated yet still call it; keep it, mark it deprecated, and remove it with mmo gen -break when none is left", was.Name)
		} else if d := differences("request", was.Request, now.Request, "answer", was.Response, now.Response, "form", was.Form, now.Form); d != "" {
			c.wrong(was.Key(), "method %s is not what schema.lock promised: %s: processes that are not updated yet would misread it; add a new method with a new name and keep the old one", was.Name, d)
		}
	}
}

// calls have numbers, which retire: a process that is not updated yet is told that nobody handles the call.
func (c *comparison) calls() {
	next := byKey(c.next.Calls)
	for _, was := range c.old.Calls {
		now, still := next[was.Key()]
		if !still {
			c.retire("call", "", uint32(was.ID), was.Message[strings.LastIndexByte(was.Message, '.')+1:])
		} else if d := differences("message", was.Message, now.Message, "reply", was.Reply, now.Reply); d != "" {
			c.wrong(was.Key(), "call %d is not what schema.lock promised: %s: processes that are not updated yet would misread it; give the new one a new id and keep, or remove, the old one", was.ID, d)
		}
	}
}

func (c *comparison) routes() {
	next := byKey(c.next.Routes)
	for _, was := range c.old.Routes {
		now, still := next[was.Key()]
		if !still {
			c.retire("route", "", uint32(was.ID), was.Name)
			continue
		}
		if d := differences("name", was.Name, now.Name, "form", was.Kind, now.Kind, "direction", was.Direction, now.Direction,
			"message", was.Message, now.Message, "reply", was.Reply, now.Reply); d != "" {
			c.wrong(was.Key(), "route %d is not what schema.lock promised: %s: deployed programs would misread it; give the new one a new id and keep, or remove, the old one", was.ID, d)
		}
	}
}

func (c *comparison) kinds() {
	next := byKey(c.next.Kinds)
	for _, was := range c.old.Kinds {
		now, still := next[was.Key()]
		if !still {
			c.retire("kind", "", uint32(was.ID), was.Name)
		} else if was.Name != now.Name {
			c.wrong(was.Key(), "kind %d was %s in schema.lock and is now %s: deployed clients would take one for the other; keep the name, or give the new kind a new id", was.ID, was.Name, now.Name)
		}
	}
}

func (c *comparison) components() {
	next := byKey(c.next.Components)
	for _, was := range c.old.Components {
		now, still := next[was.Key()]
		switch {
		case !still:
			c.retire("component", "", uint32(was.ID), was.Name)
		case was.Name != now.Name:
			c.wrong(was.Key(), "component %d was %s in schema.lock and is now %s: deployed clients and stored entities would take one for the other; keep the name, or give the new component a new id",
				was.ID, was.Name, now.Name)
		case was.Motion != now.Motion:
			c.wrong(was.Key(), "the position of component %d was %s in schema.lock and is now %s: deployed clients reckon by it; add a new component with a new id and keep, or remove, the old one",
				was.ID, was.Motion, now.Motion)
		}
	}
}

func (c *comparison) fields() {
	next := byKey(c.next.Fields)
	needed := map[string]bool{}
	for _, f := range c.next.Fields {
		needed[f.Message] = true
	}
	for _, m := range c.next.Messages {
		needed[m] = true
	}
	for _, was := range c.old.Fields {
		now, still := next[was.Key()]
		switch {
		case !still && needed[was.Message]:
			c.retire("field", was.Message, was.Number, was.Name)
		case still && (was.Type != now.Type || was.Label != now.Label):
			c.wrong(was.Key(), "field %d of %s is not what schema.lock promised: %s: deployed programs and stored data would be misread; add a new field with a new number and keep, or remove, the old one",
				was.Number, was.Message, differences("type", was.Type, now.Type, "label", was.Label, now.Label))
		}
	}
}

func (c *comparison) states() {
	next := byKey(c.next.States)
	for _, was := range c.old.States {
		now, still := next[was.Key()]
		if still && withoutEnumBits(was.Form) != withoutEnumBits(now.Form) {
			c.wrong(was.Key(), "field %s of component %d is not what schema.lock promised: %s became %s: deployed clients would misread it; add a new field with a new number and keep, or remove, the old one",
				now.Name, was.Component, was.Form, now.Form)
		} else if still && now.Bound < was.Bound {
			c.wrong(was.Key(), "max of field %s of component %d was %d in schema.lock and is now %d: what is stored, and what deployed programs hold, may be larger and could not be read; raise it freely, lower it only with mmo gen -break",
				now.Name, was.Component, was.Bound, now.Bound)
		}
	}
}

// enums refuses that a number means something else, or a name another number. Either may go: the number then retires.
func (c *comparison) enums() {
	next, needed, numbers := byKey(c.next.Enums), map[string]bool{}, map[string]Enum{}
	for _, e := range c.next.Enums {
		needed[e.Name] = true
		for _, v := range e.Values {
			numbers[e.Name+" "+v] = e
		}
	}
	for _, was := range c.old.Enums {
		now, still := next[was.Key()]
		moved := false
		for _, v := range was.Values {
			if to, is := numbers[was.Name+" "+v]; is && to.Number != was.Number {
				moved = true
				c.wrong(to.Key(), "%s of enum %s was %d in schema.lock and is now %d: deployed programs and stored data would take one value for another; keep the number, and add a new value with a new number",
					v, was.Name, was.Number, to.Number)
			}
		}
		switch {
		case moved:
		case !still && needed[was.Name]:
			c.retire("enum", was.Name, uint32(was.Number), was.Values[0])
		case still && !slices.ContainsFunc(was.Values, func(v string) bool { return slices.Contains(now.Values, v) }):
			c.wrong(was.Key(), "%d of enum %s was %s in schema.lock and is now %s: deployed programs and stored data would take one value for another; keep the name (allow_alias lets the number have both), "+
				"or add a new value with a new number", was.Number, was.Name, strings.Join(was.Values, ","), strings.Join(now.Values, ","))
		}
	}
}

// withoutEnumBits is a form as far as it must not change: an enum may grow, its numbers stay what they are and clients learn the bits.
func withoutEnumBits(form string) string {
	words := strings.Split(form, ",")
	if words[0] != "enum" {
		return form
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "bits=") }), ",")
}

// used are the names of the ids in use, by key.
func (b *Body) used() map[string]string {
	used := map[string]string{}
	for _, r := range b.Routes {
		used[r.Key()] = r.Name
	}
	for _, k := range b.Kinds {
		used[k.Key()] = k.Name
	}
	for _, m := range b.Components {
		used[m.Key()] = m.Name
	}
	for _, f := range b.Fields {
		used[f.Key()] = f.Name
	}
	for _, a := range b.Calls {
		used[a.Key()] = a.Message[strings.LastIndexByte(a.Message, '.')+1:]
	}
	for _, e := range b.Enums {
		used[e.Key()] = strings.Join(e.Values, ",")
	}
	return used
}

// reused refuses ids that had an owner before.
func (c *comparison) reused() {
	used := c.next.used()
	for _, r := range c.old.Retired {
		if name, again := used[r.Key()]; again {
			c.wrong(r.Key(), "%s cannot be %s: schema.lock says that it was %s, which was removed, and programs out there may still know it; take a new one "+
				"(if it was never released, restore schema.lock from version control)", r.Key(), name, r.Name)
		}
	}
}

// Next is the lock after a change, old being nil for a schema that has none yet. With a reason it accepts what breaks: for clients, a new generation begins,
// and an id in use is then no longer retired; between processes there are no generations, the reason is all that remains. mistakes are those of Compare: with
// them there is no next lock unless a reason is given. What only processes promise each other changes neither sum nor revision, so no client notices.
func Next(old *Lock, body, rpc Body, reason string) (next *Lock, mistakes []Mistake, err error) {
	if old == nil {
		next = &Lock{Generation: 1, Revision: 1, Body: body, RPC: rpc}
		next.Body.Sort()
		next.RPC.Sort()
		next.Sum = next.Body.Sum()
		return next, nil, nil
	}
	var within []Mistake
	mistakes, body.Retired = Compare(&old.Body, &body)
	within, rpc.Retired = Compare(&old.RPC, &rpc)
	next = &Lock{Generation: old.Generation, Revision: old.Revision, Breaks: slices.Clone(old.Breaks), Body: body, RPC: rpc, RPCBreaks: slices.Clone(old.RPCBreaks)}
	if len(mistakes)+len(within) > 0 && reason == "" {
		return nil, append(mistakes, within...), nil
	}
	if len(within) > 0 {
		if !slices.Contains(next.RPCBreaks, reason) {
			next.RPCBreaks = append(next.RPCBreaks, reason)
		}
		next.RPC.dropUsed()
	}
	if len(mistakes) > 0 {
		if next.Generation == 1<<16-1 {
			return nil, nil, fmt.Errorf("generation %d is the last that a fingerprint can say: delete the lock to begin anew", old.Generation)
		}
		next.Generation++
		next.Breaks = append(next.Breaks, reason)
		next.Body.dropUsed()
	}
	next.Broke = len(mistakes)+len(within) > 0
	next.Body.Sort()
	next.RPC.Sort()
	next.Sum = next.Body.Sum()
	if next.Sum == old.Sum && next.Generation == old.Generation && !old.Merged {
		return next, nil, nil
	}
	if old.Revision == 1<<16-1 {
		return nil, nil, fmt.Errorf("revision %d is the last that a fingerprint can say: delete the lock to begin anew", old.Revision)
	}
	next.Revision++
	return next, nil, nil
}

// dropUsed forgets retired ids that a new generation uses again.
func (b *Body) dropUsed() {
	used := b.used()
	b.Retired = slices.DeleteFunc(b.Retired, func(r Retired) bool { _, again := used[r.Key()]; return again })
}
