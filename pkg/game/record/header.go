package record

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Detail is how much of what came out is kept beside the inputs.
type Detail uint8

// Levels of detail. Each tick costs its inputs and at least 2 bytes; Config.Every thins out the rest.
const (
	Entities Detail = iota // a hash of the zone, and a short one for each entity that has changed: about 3 bytes per changed entity
	World                  // a hash of the zone, 8 bytes: the tick of a difference can be named, its entities cannot
	Inputs                 // nothing: it can be replayed, but not compared
)

// Config says how a recording is made. Zero fields take their default.
type Config struct {
	Detail     Detail       // default: Entities
	Every      uint32       // ticks from one comparison to the next, 1 to 2^20; default 1, which names the tick of a difference exactly
	FlushTicks uint32       // ticks that may wait in memory, and are lost if the process is killed, 1 to 2^20; default 20
	QueueBytes int          // that may wait for the disk before the recording ends, at least 1; default 8 MiB
	Log        *slog.Logger // hears of a recording that ended early; default: none
}

func (c *Config) validate() error {
	if c.Every == 0 {
		c.Every = 1
	}
	if c.FlushTicks == 0 {
		c.FlushTicks = 20
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = 8 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Detail > Inputs:
		return fmt.Errorf("recording with Detail %d: need %d (Entities) to %d (Inputs)", c.Detail, Entities, Inputs)
	case c.Every > 1<<20 || c.FlushTicks > 1<<20:
		return fmt.Errorf("recording with Every %d, FlushTicks %d: need 1 to %d", c.Every, c.FlushTicks, 1<<20)
	case c.QueueBytes < 1:
		return fmt.Errorf("recording with QueueBytes %d: need at least 1", c.QueueBytes)
	}
	return nil
}

// Header says what was recorded.
type Header struct {
	Game        string               // name
	Fingerprint protocol.Fingerprint // of the schema
	Zone        game.Config          // as Zone.Config has it. What is no number, text or truth value does not travel: see Omitted
	Tables      []byte               // with which the zone began; nil: the game has none
	Flags       map[string]string    // of the program, by name, by which the game was made; nil: none
	Build       string               // default: Build()
	Started     time.Time            // when; zero: nobody said
	Config      Config               // how; of it, Detail and Every travel

	// Omitted are the fields of Zone that were set and do not travel; a replay needs its own. Unknown are those that the recording has and this build has not. Reader fills both.
	Omitted, Unknown []string

	plain map[string]json.RawMessage // of Zone, as recorded
}

// HeaderOf describes a zone that has not been stepped yet, for Open. Flags, Started and Config are the caller's to fill in.
func HeaderOf(g *game.Game, z *game.Zone) Header {
	h := Header{Game: g.Name, Fingerprint: z.Fingerprint(), Zone: z.Config()}
	if t := h.Zone.Tables; t != nil {
		h.Tables = t.Append(nil)
	}
	return h
}

// Build identifies this program as far as the Go toolchain knows it: module and version, revision, whether the sources were changed after it, compiler and platform. Floating
// point may differ between platforms, and what the standard library promises nobody between compilers.
func Build() string {
	name, rev, changed := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		name = strings.TrimSpace(or(info.Main.Path, name) + " " + info.Main.Version)
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				rev = " " + s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " changed"
			}
		}
	}
	return fmt.Sprintf("%s%s%s, %s %s/%s", name, rev, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// wireHeader is the JSON of a header chunk.
type wireHeader struct {
	Game        string                     `json:"game"`
	Fingerprint string                     `json:"fingerprint"` // hexadecimal
	Build       string                     `json:"build"`
	Started     *time.Time                 `json:"started,omitempty"`
	Zone        map[string]json.RawMessage `json:"zone"` // by field of game.Config
	Omitted     []string                   `json:"omitted,omitempty"`
	Flags       map[string]string          `json:"flags,omitempty"`
	Detail      Detail                     `json:"detail"`
	Every       uint32                     `json:"every"`
	Tables      bool                       `json:"tables,omitempty"` // their chunk follows
}

func (h *Header) marshal() ([]byte, error) {
	zone, omitted, err := plainFields(&h.Zone)
	if err != nil {
		return nil, err
	}
	w := wireHeader{
		Game: h.Game, Fingerprint: hex.EncodeToString(h.Fingerprint[:]), Build: h.Build, Zone: zone, Omitted: omitted, Flags: h.Flags,
		Detail: h.Config.Detail, Every: h.Config.Every, Tables: len(h.Tables) > 0,
	}
	if !h.Started.IsZero() {
		w.Started = &h.Started
	}
	return json.Marshal(w)
}

// unmarshal reads a header chunk; tables tells whether their chunk follows.
func (h *Header) unmarshal(b []byte) (tables bool, err error) {
	var w wireHeader
	if err := json.Unmarshal(b, &w); err != nil {
		return false, err
	}
	*h = Header{Game: w.Game, Build: w.Build, Flags: w.Flags, Omitted: w.Omitted, Config: Config{Detail: w.Detail, Every: w.Every}, plain: w.Zone}
	if w.Started != nil {
		h.Started = *w.Started
	}
	if sum, err := hex.DecodeString(w.Fingerprint); err != nil || len(sum) != len(h.Fingerprint) {
		return false, fmt.Errorf("fingerprint %q is not %d bytes in hexadecimal", w.Fingerprint, len(h.Fingerprint))
	} else {
		copy(h.Fingerprint[:], sum)
	}
	if w.Zone == nil {
		return false, errors.New("it says nothing about the zone")
	}
	if h.Unknown, err = setPlainFields(&h.Zone, w.Zone); err != nil {
		return false, err
	}
	return w.Tables, h.Config.validate()
}
