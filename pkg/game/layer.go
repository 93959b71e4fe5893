package game

import (
	"fmt"
	"slices"
	"strings"
)

// maxLayers is how many layers the interest index tells apart.
const maxLayers = 32

// layers are those that the kinds of a game name: the place of each is its bit. The first is "", that of kinds that name none.
type layers []string

// layersOf gives every layer its bit, in the order of the kinds.
func layersOf(g *Game, kinds []*kind) (layers, error) {
	all := layers{""}
	for _, k := range kinds {
		name := k.codec.Kind.Layer
		i := slices.Index(all, name)
		if i < 0 {
			i = len(all)
			all = append(all, name)
		}
		k.layer = 1 << i
	}
	if len(all) > maxLayers {
		return nil, fmt.Errorf("game %q: the kinds have %d layers, that of kinds without one included, and a zone tells %d apart: let some share a layer: %s", g.Name, len(all), maxLayers, all)
	}
	return all, nil
}

// bits are those of some names.
func (l layers) bits(names []string) (bits uint32, err error) {
	for _, name := range names {
		i := slices.Index(l, name)
		if i < 0 {
			return 0, fmt.Errorf("no kind has the layer %q: there are %s", name, l)
		}
		bits |= 1 << i
	}
	return bits, nil
}

// check tells why a view cannot ignore some layers.
func (l layers) check(ignores uint32) error {
	if ignores>>len(l) != 0 {
		return fmt.Errorf("layers %#x are none of %s", ignores, l)
	}
	if ignores == 1<<maxLayers-1 { // the index takes a mask of nothing for one of everything
		return fmt.Errorf("all %d layers at once: nothing would be left to see", maxLayers)
	}
	return nil
}

// String lists the names.
func (l layers) String() string {
	quoted := make([]string, len(l))
	for i, name := range l {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// maskOf is what the index calls a view that ignores some layers: those that it sees, 0 for all.
func maskOf(ignores uint32) uint32 {
	if ignores == 0 {
		return 0
	}
	return ^ignores
}

// Ignore makes the view of a player's avatar show nothing of some layers, as the option layer of kinds names them, "" for kinds without one; of no layers: it ignores nothing any more. It counts from the end of
// this tick on, in every zone that the view touches one tick later, and until the next Ignore: through other avatars, lost connections and hand-overs. The player always sees its own avatar, and a spectator's
// view ignores nothing. A layer that no kind has is an error that names those there are.
func (z *Zone) Ignore(p *Player, layers ...string) error {
	z.own()
	if p.gone {
		return fmt.Errorf("ignore: player %q is not in zone %d (any more)", p.Name, z.cfg.Zone)
	}
	ignores, err := z.layers.bits(layers)
	if err == nil {
		err = z.layers.check(ignores)
	}
	if err == nil {
		p.ignores = ignores
		err = z.veil(p)
	}
	if err != nil {
		return fmt.Errorf("ignore: %w", err)
	}
	return nil
}

// veil tells the index what a player's view ignores, if it has not heard yet.
func (z *Zone) veil(p *Player) error {
	if !p.looks || p.veiled == p.ignores {
		return nil
	}
	p.veiled = p.ignores
	return z.space.SetMask(p.view, maskOf(p.ignores))
}
