package game

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// operate runs a command that came without a session. Whoever sent it is a player who is not here: it has a name and rights, and neither a connection nor an avatar.
func (z *Zone) operate(in *Input) {
	o := Operated{ID: in.ID}
	h := z.handlers[in.Route]
	p := &Player{Name: in.Name, Rights: in.Rights, gone: true}
	l := &letter{h: h, id: in.ID}
	var err error
	switch {
	case h == nil:
		err = &Error{protocol.ErrorUnknownRoute, fmt.Sprintf("the game does not handle route %d", in.Route)}
	case h.route.Right == "":
		err = &Error{protocol.ErrorNotAllowed, h.route.Name + " is no command: it states no right"}
	default:
		if l.m, err = h.parse(in.Payload); err != nil {
			err = &Error{protocol.ErrorMalformed, h.route.Name + ": the payload does not parse"}
			z.audited(p, h, slices.Clone(in.Payload), err)
			break
		}
		o.Payload, err = z.operated(p, l)
		z.audit(p, l, err)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			err = &Error{protocol.ErrorInternal, err.Error()}
		}
		z.stats.Refused++
	}
	o.Err = err
	z.out.Operated = append(z.out.Operated, o)
}

func (z *Zone) operated(p *Player, l *letter) ([]byte, error) {
	if err := z.permit(p, l); err != nil {
		return nil, err
	}
	serial := z.serial
	reply, err := z.run(p, l)
	switch {
	case err == errDeferred:
		delete(z.replies, serial+1) // nobody is there to be told later
		return nil, &Error{protocol.ErrorUnavailable, l.h.route.Name + " was begun; its answer comes later, which only a session can be told"}
	case err != nil || reply == nil:
		return nil, err
	}
	return protocol.Marshal(reply)
}
