package lock

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxLock bounds a lock in bytes; a schema of thousands of fields has a tenth of it.
const maxLock = 4 << 20

// Parse reads a lock. An error names file, line and the way out. Whether the sum is that of the body is for the caller to see: a merge makes it differ.
func Parse(name string, text []byte) (*Lock, error) {
	if len(text) > maxLock {
		return nil, fmt.Errorf("%s:1: %d bytes are more than any lock has: restore the file from version control", name, len(text))
	}
	p := &parser{lock: &Lock{}, heads: map[string]bool{}, seen: map[string]string{}}
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	for _, word := range []string{"generation", "revision", "sum"} {
		if !p.heads[word] {
			return nil, fmt.Errorf("%s:1: no line %q: restore the file from version control, or delete it if this schema was never released", name, word)
		}
	}
	if len(p.lock.Breaks) != int(p.lock.Generation)-1 {
		return nil, fmt.Errorf("%s:1: generation %d with %d reasons of breaks, need %d lines \"# generation N: …\": restore the file from version control",
			name, p.lock.Generation, len(p.lock.Breaks), p.lock.Generation-1)
	}
	p.lock.Body.Sort()
	p.lock.RPC.Sort()
	return p.lock, nil
}

type parser struct {
	lock  *Lock
	heads map[string]bool
	seen  map[string]string // lines of the body by key
}

func (p *parser) line(line string) error {
	for _, mark := range []string{"<<<<<<<", "=======", ">>>>>>>", "|||||||"} {
		if strings.HasPrefix(line, mark) {
			return fmt.Errorf("an unresolved merge conflict: keep both sides of everything, drop the marks of the conflict like this one, then run mmo gen again")
		}
	}
	if rest, ok := strings.CutPrefix(line, "# generation "); ok {
		number, reason, _ := strings.Cut(rest, ": ")
		n, err := strconv.Atoi(number)
		if err == nil && n >= 2 && n < len(p.lock.Breaks)+2 && strings.TrimSpace(reason) != "" { // of the other side of a merge
			if known := &p.lock.Breaks[n-2]; !slices.Contains(strings.Split(*known, "; "), reason) {
				*known += "; " + reason
			}
			p.lock.Merged = true
			return nil
		}
		if err != nil || n != len(p.lock.Breaks)+2 || strings.TrimSpace(reason) == "" {
			return fmt.Errorf("%q: generations are numbered from 2 without a gap and each has a reason, so this one is \"# generation %d: …\"", line, len(p.lock.Breaks)+2)
		}
		p.lock.Breaks = append(p.lock.Breaks, reason)
		return nil
	}
	if reason, ok := strings.CutPrefix(line, rpcBreak); ok {
		if !slices.Contains(p.lock.RPCBreaks, reason) { // of the other side of a merge
			p.lock.RPCBreaks = append(p.lock.RPCBreaks, reason)
		}
		return nil
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	words := strings.Split(line, " ")
	if slices.Contains(words, "") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return fmt.Errorf("%q: words with one space between them are expected: restore the file from version control", line)
	}
	if err := p.words(words); err != nil {
		return fmt.Errorf("%q: %w; or restore the file from version control, then run mmo gen again", line, err)
	}
	return nil
}

func (p *parser) words(w []string) error {
	if w[0]+" " == rpcPrefix {
		if len(w) == 1 || !slices.Contains([]string{"method", "call", "field", "enum", "retired"}, w[1]) {
			return fmt.Errorf("rpc is followed by method, call, field, enum or retired")
		}
		w = w[1:]
		if err := checkForm(w); err != nil {
			return err
		}
		return p.body(&p.lock.RPC, rpcPrefix, w)
	}
	if err := checkForm(w); err != nil {
		return err
	}
	switch w[0] {
	case "generation", "revision", "sum":
		return p.head(w)
	case "method", "call":
		return fmt.Errorf("rpc stands before it in a lock")
	}
	return p.body(&p.lock.Body, "", w)
}

// checkForm refuses what is no line of a lock, or not as long as such a line is.
func checkForm(w []string) error {
	forms := map[string]int{"generation": 2, "revision": 2, "sum": 2, "route": 7, "field": 6, "kind": 4, "component": 4, "state": 6, "enum": 4, "retired": 4, "tick_hz": 2, "layout": 2, "method": 5, "call": 4}
	want, known := forms[w[0]]
	if known && w[0] == "retired" && len(w) > 1 && (w[1] == "field" || w[1] == "enum") {
		want = 5
	}
	switch {
	case !known:
		return fmt.Errorf("no line of a lock begins with %q", w[0])
	case len(w) != want:
		return fmt.Errorf("%d words, need %d", len(w), want)
	}
	return nil
}

// head reads what stands once. After a merge it stands there once for each side: the greater number is right, so that a revision never goes back, and the sum
// is made anew.
func (p *parser) head(w []string) error {
	p.lock.Merged = p.lock.Merged || p.heads[w[0]]
	p.heads[w[0]] = true
	if w[0] == "sum" {
		sum, err := hex.DecodeString(w[1])
		if err != nil || len(sum) != 4 {
			return fmt.Errorf("a sum has 8 hexadecimal digits")
		}
		p.lock.Sum = [4]byte(sum)
		return nil
	}
	n, err := number(w[1], 1<<16-1)
	if w[0] == "generation" {
		p.lock.Generation = max(p.lock.Generation, uint16(n))
	} else {
		p.lock.Revision = max(p.lock.Revision, uint16(n))
	}
	return err
}

// body reads a line of b, of which those of what processes promise each other have a prefix.
func (p *parser) body(b *Body, prefix string, w []string) (err error) {
	id := func(s string) uint16 {
		n, bad := number(s, 1<<16-1)
		if err == nil {
			err = bad
		}
		return uint16(n)
	}
	wide := func(s string, least uint64) uint32 {
		n, bad := strconv.ParseUint(s, 10, 29)
		if err == nil && (bad != nil || n < least || strconv.FormatUint(n, 10) != s) {
			err = fmt.Errorf("%q is no number of a field or size", s)
		}
		return uint32(n)
	}
	whole := func(s string) int32 {
		n, bad := strconv.ParseInt(s, 10, 32)
		if err == nil && (bad != nil || strconv.FormatInt(n, 10) != s) {
			err = fmt.Errorf("%q is no number of an enum", s)
		}
		return int32(n)
	}
	var key string
	switch w[0] {
	case "tick_hz":
		hz, bad := number(w[1], 1<<16-1)
		b.TickHz, key, err = uint32(hz), w[0], bad
	case "layout":
		if sum, bad := hex.DecodeString(w[1]); bad != nil || len(sum) != 4 || strings.ToLower(w[1]) != w[1] {
			return fmt.Errorf("a layout's sum has 8 hexadecimal digits")
		}
		b.Layout, key = w[1], w[0]
	case "enum":
		e := Enum{Name: w[1], Number: whole(w[2]), Values: strings.Split(w[3], ",")}
		slices.Sort(e.Values)
		b.Enums, key = append(b.Enums, e), e.Key()
	case "method":
		m := Method{w[1], w[2], w[3], w[4]}
		if !strings.Contains(m.Name, "/") {
			return fmt.Errorf("%q is no name of a method", m.Name)
		}
		b.Methods, key = append(b.Methods, m), m.Key()
	case "call":
		c := Call{id(w[1]), w[2], w[3]}
		b.Calls, key = append(b.Calls, c), c.Key()
	case "route":
		r := Route{id(w[1]), w[2], w[3], w[4], w[5], w[6]}
		b.Routes, key = append(b.Routes, r), r.Key()
	case "field":
		f := Field{w[1], wide(w[2], 1), w[3], w[4], w[5]}
		b.Fields, key = append(b.Fields, f), f.Key()
	case "kind":
		k := Kind{ID: id(w[1]), Name: w[2]}
		if w[3] != none {
			k.Components = strings.Split(w[3], ",")
		}
		b.Kinds, key = append(b.Kinds, k), k.Key()
	case "component":
		c := Component{id(w[1]), w[2], w[3]}
		b.Components, key = append(b.Components, c), c.Key()
	case "state":
		s := State{Component: id(w[1]), Name: w[3], Form: w[4], Bound: wide(w[5], 0)}
		for _, part := range strings.Split(w[2], ".") {
			s.Path = append(s.Path, wide(part, 1))
		}
		b.States, key = append(b.States, s), s.Key()
	case "retired":
		r := Retired{What: w[1], Name: w[len(w)-1]}
		if order(r.What) < 0 {
			return fmt.Errorf("%q is nothing that retires", r.What)
		}
		switch r.What {
		case "field":
			r.Message, r.ID = w[2], wide(w[3], 1)
		case "enum":
			r.Message, r.ID = w[2], uint32(whole(w[3]))
		default:
			r.ID = uint32(id(w[2]))
		}
		b.Retired, key = append(b.Retired, r), "retired "+r.Key()
	}
	if err != nil {
		return err
	}
	line := strings.Join(w, " ")
	first, twice := p.seen[prefix+key]
	if !twice {
		p.seen[prefix+key] = line
		return nil
	}
	p.lock.Merged = p.lock.Merged || prefix == "" // what is not in the sum makes no new revision
	return again(b, w[0], key, first, line)
}

// again drops the body's last line, of whose id there was one before, where the .proto file says what is right. Where the sides of a merge promised different
// things, a person has to say.
func again(b *Body, what, key, first, line string) error {
	switch what {
	case "tick_hz", "layout": // the latter one was taken: it is compared with nothing
		return nil
	case "retired": // both sides retired it, one under another name perhaps
		b.Retired = b.Retired[:len(b.Retired)-1]
		return nil
	case "kind":
		was, now := b.Kinds[len(b.Kinds)-1], slices.IndexFunc(b.Kinds, func(k Kind) bool { return k.Key() == key })
		if b.Kinds[now].Name == was.Name { // the .proto file says which components it has
			b.Kinds = b.Kinds[:len(b.Kinds)-1]
			return nil
		}
	}
	if first != line {
		return fmt.Errorf("the line %q says something else of %s: if both sides of a merge took the id for things of their own, one of them takes another id in its .proto file; "+
			"keep the line that fits the merged .proto file and drop this or the other", first, key)
	}
	switch what {
	case "method":
		b.Methods = b.Methods[:len(b.Methods)-1]
	case "call":
		b.Calls = b.Calls[:len(b.Calls)-1]
	case "route":
		b.Routes = b.Routes[:len(b.Routes)-1]
	case "field":
		b.Fields = b.Fields[:len(b.Fields)-1]
	case "component":
		b.Components = b.Components[:len(b.Components)-1]
	case "state":
		b.States = b.States[:len(b.States)-1]
	case "enum":
		b.Enums = b.Enums[:len(b.Enums)-1]
	}
	return nil
}

// number reads an id, which is not 0 and has no sign or leading zeros: the same lock has one text.
func number(s string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < 1 || n > most || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a number of 1 to %d", s, most)
	}
	return n, nil
}
