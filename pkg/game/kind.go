package game

import "github.com/tianxia-mmo/tianxia/pkg/sync/delta"

// kind is what a zone needs of a kind of entities.
type kind struct {
	codec  *delta.KindCodec
	place  delta.Place
	places bool
	moved  uint64 // dirty bit of the motion
	layer  uint32 // its bit
	cells  []cellAt
	slots  []uint32 // of its living entities, in order of spawning; none: one that has died in this tick
	dead   int      // of slots
}

func newKind(codec *delta.KindCodec) *kind {
	k := &kind{codec: codec, moved: codec.PlaceBit()}
	k.place, k.places = codec.Place()
	for i, id := range codec.Kind.Components {
		w, _ := codec.At(i)
		k.cells = append(k.cells, cellAt{id, int32(w)})
	}
	return k
}

// cellAt is where a component begins in a kind's records.
type cellAt struct {
	id   uint16
	word int32
}
