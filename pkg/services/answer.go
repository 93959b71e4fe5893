package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

// refusal is an answer that is no success.
type refusal struct {
	status  int
	code    string // for programs; never changes
	message string // what was wrong
	fix     string // what to do about it
	until   string // of a ban, else ""
	header  map[string]string
}

// Error is for logs.
func (r *refusal) Error() string { return r.code + ": " + r.message }

func badRequest(code, message, fix string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: message, fix: fix}
}

func pathUnknown() error {
	return &refusal{status: http.StatusNotFound, code: "not_found", message: "there is no such path", fix: "see docs/services.md for the paths; this service may have some of them switched off"}
}

func methodNotAllowed(methods []string) error {
	allow := strings.Join(methods, ", ")
	return &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "the path does not take this method", fix: "use " + allow,
		header: map[string]string{"Allow": allow}}
}

func httpsRequired() error {
	return &refusal{status: http.StatusForbidden, code: "https_required", message: "the request came without TLS",
		fix: "call by https; behind a proxy that ends TLS, list it in Trusted and let it set X-Forwarded-Proto"}
}

func originRefused() error {
	return &refusal{status: http.StatusForbidden, code: "origin_refused", message: "pages of this origin may not call", fix: "list the origin in Origins"}
}

func tooManyRequests(wait time.Duration) error {
	return &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", message: "too many requests from this address",
		fix: "wait for the time of Retry-After, then go slower", header: retryAfter(wait)}
}

// retryAfter is in whole seconds, at least one.
func retryAfter(wait time.Duration) map[string]string {
	return map[string]string{"Retry-After": strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10)}
}

// refusalOf words an error of the rules for a client; nil for what is our fault.
func refusalOf(err error) *refusal {
	var (
		said    *refusal
		name    *accounts.NameError
		ban     *accounts.BannedError
		limited *accounts.LimitError
		busy    *accounts.BusyError
	)
	switch {
	case errors.As(err, &said):
		return said
	case errors.As(err, &name):
		return badRequest("bad_name", name.What, name.Fix)
	case errors.As(err, &ban):
		until := ban.Ban.Until.UTC().Format(time.RFC3339)
		return &refusal{status: http.StatusForbidden, code: "banned", message: "banned until " + until + ": " + ban.Ban.Reason, fix: "wait, or ask the operators", until: until}
	case errors.As(err, &limited):
		return &refusal{status: http.StatusTooManyRequests, code: "too_many_attempts", message: "too many " + limited.What, fix: "wait for the time of Retry-After", header: retryAfter(limited.Wait)}
	case errors.As(err, &busy):
		return &refusal{status: http.StatusServiceUnavailable, code: "busy", message: "too many logins at once", fix: "try again after the time of Retry-After, plus a random part of it",
			header: retryAfter(busy.Wait)}
	case errors.Is(err, password.ErrTooShort), errors.Is(err, password.ErrTooLong), errors.Is(err, password.ErrText):
		return badRequest("bad_password", err.Error(), fmt.Sprintf("choose one of %d to %d bytes of UTF-8", password.MinBytes, password.MaxBytes))
	case errors.Is(err, accounts.ErrArgument):
		return badRequest("bad_argument", err.Error(), "see docs/services.md for the bounds")
	}
	for _, known := range sentinels() {
		if errors.Is(err, known.err) {
			r := known.refusal
			r.message = known.err.Error()
			return &r
		}
	}
	return nil
}

type worded struct {
	err     error
	refusal refusal
}

// sentinels is searched from the front; the message of each is its error's.
func sentinels() []worded {
	return []worded{
		{accounts.ErrRefused, refusal{status: 401, code: "login_refused", fix: "check the spelling; a guest logs in by its device secret"}},
		{accounts.ErrNoSession, refusal{status: 401, code: "no_session", fix: "log in and send Authorization: Bearer with the session of the answer",
			header: map[string]string{"WWW-Authenticate": "Bearer"}}},
		{accounts.ErrSecret, refusal{status: 400, code: "bad_secret", fix: "draw 32 bytes from the system's randomness, or leave the secret out and keep the one of the answer"}},
		{accounts.ErrNameTaken, refusal{status: 409, code: "name_taken", fix: "choose another name"}},
		{accounts.ErrTooMany, refusal{status: 409, code: "too_many_characters", fix: "delete one first"}},
		{accounts.ErrGuest, refusal{status: 409, code: "guest", fix: "POST /v1/upgrade gives it name and password"}},
		{accounts.ErrNotGuest, refusal{status: 409, code: "not_a_guest", fix: "POST /v1/password changes its password"}},
		{accounts.ErrNoCharacters, refusal{status: 409, code: "no_characters", fix: "ask for a token at once: POST /v1/token"}},
		{accounts.ErrNotSelected, refusal{status: 409, code: "not_selected", fix: "POST /v1/characters/{id}/select first, or send \"character\" with the request"}},
		{accounts.ErrClosed, refusal{status: 403, code: "closed", fix: "this service does not offer it: ask its operators"}},
		{accounts.ErrNotFound, refusal{status: 404, code: "unknown", fix: "check the number or the name"}},
		{accounts.ErrStale, refusal{status: 409, code: "conflict", fix: "try again"}},
		{accounts.ErrFull, refusal{status: 503, code: "full", fix: "the operators have to make room; try again later", header: retryAfter(time.Minute)}},
		{accounts.ErrRevoker, refusal{status: 502, code: "servers_not_told", fix: "what is stored is stored; repeat the request until it succeeds"}},
		{context.DeadlineExceeded, refusal{status: 503, code: "unavailable", fix: "try again after the time of Retry-After", header: retryAfter(time.Second)}},
		{context.Canceled, refusal{status: 503, code: "unavailable", fix: "try again after the time of Retry-After", header: retryAfter(time.Second)}},
	}
}

// errorBody is the JSON of every refusal.
type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Fix     string `json:"fix"`
		Until   string `json:"until,omitempty"`
	} `json:"error"`
}

// refuse answers with an error. What is our fault is told to the log alone.
func (s *Services) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refused := refusalOf(err)
	if refused == nil || refused.status == http.StatusBadGateway {
		s.cfg.Log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	if refused == nil {
		s.count.faults.Add(1)
		refused = &refusal{status: http.StatusInternalServerError, code: "internal", message: "something failed here", fix: "try again later; if it stays so, tell the operators when it happened"}
	}
	var body errorBody
	body.Error.Code, body.Error.Message, body.Error.Fix, body.Error.Until = refused.code, refused.message, refused.fix, refused.until
	write(w, answer{status: refused.status, body: body, header: refused.header})
}

// write sends an answer. An error of writing is the client's, who has gone.
func write(w http.ResponseWriter, a answer) {
	h := w.Header()
	for name, value := range a.header {
		h.Set(name, value)
	}
	body := a.raw
	if a.body != nil {
		text, err := json.Marshal(a.body)
		if err != nil { // types of this package alone come here
			panic(fmt.Sprintf("services: answer of type %T: %v", a.body, err))
		}
		body = append(text, '\n')
	}
	if len(body) > 0 {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}
