package aoi

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failure plays ops on fresh spaces, and returns how many it played up to the first divergence, and that.
func failure(cfg Config, vs []variant, ops []op) (int, error) {
	r, err := newRig(cfg, vs)
	if err != nil {
		return 0, err
	}
	for i, o := range ops {
		if err := r.play(o); err != nil {
			return i + 1, err
		}
	}
	return len(ops), nil
}

// shrink takes calls out of a sequence that diverges as long as it still does:
// all of a kind or of an entry, then halves, quarters, ... single calls (delta
// debugging). What is left it makes plainer. It gives up improving after limit.
func shrink(cfg Config, vs []variant, ops []op, limit time.Duration) ([]variant, []op) {
	end := time.Now().Add(limit)
	fails := func(vs []variant, ops []op) (int, bool) {
		n, err := failure(cfg, vs, ops)
		return n, err != nil
	}
	n, bad := fails(vs, ops)
	if !bad {
		return vs, ops // only in company of what ran before: nothing to be found here
	}
	ops = slices.Clone(ops[:n])
	for _, v := range vs {
		if n, bad := fails([]variant{v}, ops); bad {
			vs, ops = []variant{v}, ops[:n]
			break
		}
	}
	without := func(drop func(op) bool) {
		try := slices.DeleteFunc(slices.Clone(ops), drop)
		if len(try) == len(ops) {
			return
		}
		if n, bad := fails(vs, try); bad {
			ops = try[:n]
		}
	}
	without(func(o op) bool { return o.kind >= opRefused })
	for k := opTick; k < kinds; k++ {
		without(func(o op) bool { return o.kind == k })
	}
	ids := slices.MaxFunc(ops, func(a, b op) int { return a.id - b.id }).id + 1
	for size := ids; size > 0; size /= 2 {
		for from := 0; from < ids && time.Now().Before(end); from += size {
			without(func(o op) bool { return o.id >= from && o.id < from+size && o.kind > opTick && o.kind < opWithin })
		}
	}
	for size := len(ops) / 2; size > 0 && time.Now().Before(end); {
		smaller := false
		for at := len(ops) - size; at >= 0 && time.Now().Before(end); at -= size {
			try := slices.Delete(slices.Clone(ops), at, at+size)
			if n, bad := fails(vs, try); bad {
				ops, smaller = try[:n], true
				at = min(at, len(ops))
			}
		}
		if !smaller || size > len(ops)/2 {
			size /= 2
		}
	}
	for i := range ops {
		for _, plain := range plainer(ops[i]) {
			if time.Now().After(end) {
				return vs, ops
			}
			try := slices.Clone(ops)
			try[i] = plain
			if n, bad := fails(vs, try); bad && n == len(ops) {
				ops = try
			}
		}
	}
	return vs, ops
}

// plainer returns o with one thing after the other made simple.
func plainer(o op) []op {
	round := func(v float32) float32 { return float32(math.Round(float64(v))) }
	var all []op
	for _, f := range []func(*op){
		func(o *op) { o.x, o.z, o.a, o.b = round(o.x), round(o.z), round(o.a), round(o.b) },
		func(o *op) { o.x, o.z = round(o.x), round(o.z) },
		func(o *op) { o.bits, o.mask, o.hidden, o.n = 0, 0, false, 0 },
		func(o *op) { o.a, o.b, o.mask, o.n = 0, 0, 0, 0 },
	} {
		p := o
		if f(&p); p != o {
			all = append(all, p)
		}
	}
	return all
}

// source is ops as the body of a Go test.
func source(cfg Config, v variant, ops []op) string {
	var b strings.Builder
	c := v.of(cfg)
	if c.MaxEntries == 0 {
		c.MaxEntries = rigEntries
	}
	fmt.Fprintf(&b, "s, err := New(Config{MinX: %s, MinZ: %s, MaxX: %s, MaxZ: %s, CellSize: %s, MaxEntries: %d, Workers: %d, Kernel: Kernel(%d)}) // %v\n",
		g(c.MinX), g(c.MinZ), g(c.MaxX), g(c.MaxZ), g(c.CellSize), c.MaxEntries, c.Workers, c.Kernel, c.Kernel)
	for _, o := range ops {
		b.WriteString(o.String() + "\n")
	}
	return b.String()
}

func g(v float32) string {
	switch {
	case v != v:
		return "float32(math.NaN())"
	case math.IsInf(float64(v), 0):
		return fmt.Sprintf("float32(math.Inf(%+d))", int(math.Copysign(1, float64(v))))
	}
	return strconv.FormatFloat(float64(v), 'g', -1, 32)
}

// String is the call in Go; e3 is the handle of the add with number 3.
func (o op) String() string {
	search := "s"
	if !o.zero {
		search = fmt.Sprintf("s.Only(%#x)", o.bits)
	}
	switch o.kind {
	case opTick:
		return "s.Tick()"
	case opAdd:
		return fmt.Sprintf("e%d, err := s.Add(%s, %s, %s)", o.id, g(o.x), g(o.z), o.opts().source())
	case opMove:
		return fmt.Sprintf("s.Move(e%d, %s, %s)", o.id, g(o.x), g(o.z))
	case opRadius:
		return fmt.Sprintf("s.SetRadius(e%d, %s, %s)", o.id, g(o.a), g(o.b))
	case opHidden:
		return fmt.Sprintf("s.SetHidden(e%d, %v)", o.id, o.hidden)
	case opLayers:
		return fmt.Sprintf("s.SetLayers(e%d, %#x)", o.id, o.bits)
	case opMask:
		return fmt.Sprintf("s.SetMask(e%d, %#x)", o.id, o.mask)
	case opNearest:
		return fmt.Sprintf("s.SetNearest(e%d, %d)", o.id, o.n)
	case opRemove:
		return fmt.Sprintf("s.Remove(e%d)", o.id)
	case opRefused:
		return fmt.Sprintf("// what must be refused, of e%d", o.id)
	case opWithin:
		return fmt.Sprintf("%s.Within(%s, %s, %s, yield)", search, g(o.x), g(o.z), g(o.a))
	case opBox:
		return fmt.Sprintf("%s.Box(%s, %s, %s, %s, yield)", search, g(o.x), g(o.z), g(o.a), g(o.b))
	case opSector:
		return fmt.Sprintf("%s.Sector(%s, %s, %s, %s, %s, %s, yield)", search, g(o.x), g(o.z), g(o.a), g(o.dirX), g(o.dirZ), g(o.b))
	case opNearestTo:
		return fmt.Sprintf("%s.Nearest(%s, %s, %s, %d, yield)", search, g(o.x), g(o.z), g(o.a), o.n)
	}
	return "// compare all sets"
}

func (o Opts) source() string {
	var f []string
	add := func(yes bool, format string, v any) {
		if yes {
			f = append(f, fmt.Sprintf(format, v))
		}
	}
	add(o.Hidden, "Hidden: %v", o.Hidden)
	add(o.Layers != 0, "Layers: %#x", o.Layers)
	add(o.Radius != 0, "Radius: %s", g(o.Radius))
	add(o.LeaveRadius != 0, "LeaveRadius: %s", g(o.LeaveRadius))
	add(o.Mask != 0, "Mask: %#x", o.Mask)
	add(o.Nearest != 0, "Nearest: %d", o.Nearest)
	return "Opts{" + strings.Join(f, ", ") + "}"
}
