package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// Command runs a command of the game in a zone, for an operator who has no session: a route that states a right, of which rights must be the holder's. zone 0 is the first one. It returns the encoded
// reply; a refusal is a *game.Error. Every use is audited.
func (s *Server) Command(ctx context.Context, zone uint32, by string, rights []string, route uint16, payload []byte) ([]byte, error) {
	type answer struct {
		b   []byte
		err error
	}
	came := make(chan answer, 1)
	err := s.do(func() {
		h := s.host(zone)
		if zone == 0 {
			h = s.hosts[0]
		}
		if h == nil || h.zone == nil {
			came <- answer{err: fmt.Errorf("server: zone %d is not here", zone)}
			return
		}
		s.lastCommand++
		id := s.lastCommand
		s.operating[id] = func(o *game.Operated) { came <- answer{append([]byte(nil), o.Payload...), o.Err} }
		h.input(game.Input{Kind: game.Operate, Name: by, Rights: rights, Route: route, ID: id, Payload: payload})
	})
	if err != nil {
		return nil, err
	}
	select {
	case a := <-came:
		return a.b, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("command of route %d in zone %d: %w", route, zone, ctx.Err())
	case <-s.stopped:
		return nil, errors.New("server: it has stopped")
	}
}

// operated brings an operator the answer.
func (s *Server) operated(o *game.Operated) {
	if f := s.operating[o.ID]; f != nil {
		delete(s.operating, o.ID)
		f(o)
	}
}

// audit tells of the use of a command.
func (s *Server) audit(zone uint32, a *game.Audit) {
	s.cfg.Log.Info("command", "zone", zone, "tick", a.Tick, "by", a.By, "player", a.Player, "session", a.Session, "command", a.Name, "arguments", s.game.Arguments(a.Route, a.Payload), "error", a.Err)
	if s.cfg.Audit != nil {
		s.cfg.Audit(zone, *a)
	}
}

// UseTables gives every zone other data tables, between two ticks: none sees a part of the old and a part of the new.
func (s *Server) UseTables(set *tables.Set) error {
	if set == nil || !set.Schema().Equal(s.game.Schema.Tables) {
		return errors.New("server: these data tables are not of the game's schema")
	}
	b := set.Append(nil)
	return s.do(func() {
		s.toAll(game.Input{Kind: game.UseTables, Payload: b})
		s.cfg.Log.Info("data tables change", "fingerprint", fmt.Sprintf("%016x", set.Fingerprint()), "bytes", len(b))
	})
}

// Release ends the quarantine of a handler, system or timer in every zone; an empty name ends all.
func (s *Server) Release(name string) error {
	return s.do(func() { s.toAll(game.Input{Kind: game.Release, Text: name}) })
}

// record begins the recording of a zone that has not been stepped yet, if zones are to be recorded.
func (s *Server) record(h *host) error {
	if s.cfg.RecordDir == "" {
		return nil
	}
	head := record.HeaderOf(s.game, h.zone)
	head.Flags, head.Started, head.Config = s.cfg.Flags, time.Now(), s.cfg.Record
	if head.Config.Log == nil {
		head.Config.Log = s.cfg.Log
	}
	if err := os.MkdirAll(s.cfg.RecordDir, 0o700); err != nil {
		return fmt.Errorf("server: folder of the recordings: %w", err)
	}
	path := filepath.Join(s.cfg.RecordDir, fmt.Sprintf("%s-zone%d-%d.rec", s.game.Name, h.cfg.Zone, h.cfg.Epoch))
	r, err := record.Open(path, head)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	h.rec = r
	s.cfg.Log.Info("recording", "zone", h.id(), "file", path)
	return nil
}
