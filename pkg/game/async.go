package game

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Gone says what becomes of a result whose player has left the zone: logged out, or gone over to another.
type Gone uint8

const (
	// DropIfGone drops it, and counts it: what it would do concerns nobody any more.
	DropIfGone Gone = iota
	// RunIfGone runs the continuation all the same: what was begun must be ended, as a payment is. Async.Player has left then; what it was is still in it, its avatar
	// does not live here.
	RunIfGone
)

// Async says how a result comes back.
type Async struct {
	Name   string  // of the work, for measurements and logs
	Player *Player // for whom it is done; nil: nobody
	IfGone Gone
	Ticks  uint32 // within which it must have ended; default Config.AsyncTicks
}

// Job is work that is done outside of the zone, on whatever goroutine, and answered by an input Done of its number.
type Job struct {
	Number uint64
	Name   string
	Ticks  uint32 // after which the zone does not wait any longer
	Run    func(ctx context.Context) ([]byte, error)
}

// future is what waits for a result.
type future struct {
	name   string
	player *Player
	gone   Gone
	then   func(payload []byte, err error)
}

// Go has work done outside of the zone: a query, a call of a service, anything that waits. then runs in a later tick, in the zone, with what came of it, and runs
// once: with ErrTimeout if nothing came in time, and with an *Error of code ErrorOverloaded in the next tick if Config.MaxAsync results are waited for already, or Config.MaxMine for the same player. Nothing is cancelled by
// a timeout but ctx. work runs concurrently with the zone and must not touch it: it gets copies.
//
// The result is an input of the zone, so that a recording replays without doing the work again: T is a protobuf message, []byte, or what encoding/json keeps. Of an error, its text remains, and
// the code of an *Error.
func Go[T any](z *Zone, a Async, work func(ctx context.Context) (T, error), then func(T, error)) {
	z.own()
	n, ok := z.await(a, func(payload []byte, err error) {
		var v T
		if err == nil {
			v, err = decodeResult[T](payload)
		}
		then(v, err)
	})
	if !ok {
		return
	}
	z.out.Jobs = append(z.out.Jobs, Job{n, a.Name, z.ticksOf(a), func(ctx context.Context) ([]byte, error) {
		v, err := work(ctx)
		if err != nil {
			return nil, err
		}
		return encodeResult(v)
	}})
}

func (z *Zone) ticksOf(a Async) uint32 {
	if a.Ticks == 0 {
		return z.cfg.AsyncTicks
	}
	return min(a.Ticks, 1<<20)
}

// await makes a future; false if there are too many, and then fails in the next tick.
func (z *Zone) await(a Async, then func(payload []byte, err error)) (number uint64, ok bool) {
	z.serial++
	n := z.serial
	f := &future{a.Name, a.Player, a.IfGone, then}
	due, err := z.ticksOf(a), ErrTimeout
	if mine := a.Player != nil && a.Player.waits >= z.cfg.MaxMine; mine || len(z.futures) >= z.cfg.MaxAsync {
		due, err = 1, &Error{protocol.ErrorOverloaded, fmt.Sprintf("%d results are waited for already", len(z.futures))}
		z.alarms.push(alarm{due: z.tick + due, serial: n, slot: none, run: func() { z.settle(f, nil, err) }})
		return 0, false
	}
	z.futures[n] = f
	if a.Player != nil {
		a.Player.waits++
	}
	z.alarms.push(alarm{due: z.tick + due, serial: n, slot: none, run: func() {
		if z.futures[n] == f {
			z.over(n)
			z.stats.Timeouts++
			z.settle(f, nil, err)
		}
	}})
	return n, true
}

// over ends the wait for a result.
func (z *Zone) over(number uint64) {
	if p := z.futures[number].player; p != nil {
		p.waits--
	}
	delete(z.futures, number)
}

// done takes a result.
func (z *Zone) done(in *Input) {
	f := z.futures[in.Number]
	if f == nil {
		return // too late
	}
	z.over(in.Number)
	var err error
	if in.Text != "" || in.Code != 0 {
		err = &Error{in.Code, in.Text}
	}
	z.settle(f, append([]byte(nil), in.Payload...), err)
}

func (z *Zone) settle(f *future, payload []byte, err error) {
	if p := f.player; p != nil && p.gone && f.gone == DropIfGone {
		z.stats.Dropped++
		return
	}
	name := f.name
	if name == "" {
		name = "a result"
	}
	_ = z.hook(name, f.player, func() error { f.then(payload, err); return nil })
}

// Failure is an error as a Done carries it.
func Failure(err error) (code protocol.ErrorCode, text string) {
	code = protocol.ErrorInternal
	var e *Error
	if errors.As(err, &e) {
		code, err = e.Code, errors.New(e.Message)
	}
	text = strings.ToValidUTF8(err.Error(), "?")
	return code, text[:min(len(text), maxText)]
}

func encodeResult(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case proto.Message:
		return protocol.Marshal(v)
	}
	return json.Marshal(v)
}

func decodeResult[T any](b []byte) (v T, err error) {
	switch p := any(&v).(type) {
	case *[]byte:
		*p = b
		return v, nil
	default:
		if m, ok := any(v).(proto.Message); ok {
			m = m.ProtoReflect().New().Interface()
			err = protocol.Unmarshal(b, m)
			return m.(T), err
		}
		err = json.Unmarshal(b, p)
		return v, err
	}
}
