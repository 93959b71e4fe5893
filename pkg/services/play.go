package services

import (
	"net/http"
	"strconv"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// characterBody is the JSON of a character.
type characterBody struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Created  string `json:"created"`
	Selected bool   `json:"selected"`
}

func characterOf(c accounts.Character, v accounts.Visit) characterBody {
	return characterBody{c.ID.String(), c.Name, stamp(c.Created), c.ID == v.Session.Character}
}

func (s *Services) account(_ *call, v accounts.Visit) (answer, error) {
	return answer{status: http.StatusOK, body: struct {
		accountBody
		MaxCharacters int    `json:"max_characters"`
		Expires       string `json:"expires"`
	}{accountOf(v.Account), s.accounts.MaxCharacters(), stamp(v.Session.Expires)}}, nil
}

func (s *Services) characters(c *call, v accounts.Visit) (answer, error) {
	list, err := s.accounts.Characters(c.ctx, v)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Characters []characterBody `json:"characters"`
	}{make([]characterBody, 0, len(list))}
	for _, each := range list {
		body.Characters = append(body.Characters, characterOf(each, v))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Services) createCharacter(c *call, v accounts.Visit) (answer, error) {
	var name string
	if err := c.decode(member{name: "name", text: &name}); err != nil {
		return answer{}, err
	}
	created, err := s.accounts.CreateCharacter(c.ctx, v, name)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: characterOf(created, v)}, nil
}

func (s *Services) selectCharacter(c *call, v accounts.Visit) (answer, error) {
	id, err := number(c.id)
	if err != nil {
		return answer{}, err
	}
	if err := s.accounts.SelectCharacter(c.ctx, v, accounts.PlayerID(id)); err != nil {
		return answer{}, err
	}
	return done()
}

func (s *Services) deleteCharacter(c *call, v accounts.Visit) (answer, error) {
	id, err := number(c.id)
	if err != nil {
		return answer{}, err
	}
	if err := s.accounts.DeleteCharacter(c.ctx, v, accounts.PlayerID(id)); err != nil {
		return answer{}, err
	}
	return done()
}

func (s *Services) token(c *call, v accounts.Visit) (answer, error) {
	var character string
	if err := c.decode(member{name: "character", text: &character, optional: true}); err != nil {
		return answer{}, err
	}
	if character != "" {
		id, err := number(character)
		if err != nil {
			return answer{}, err
		}
		if err := s.accounts.SelectCharacter(c.ctx, v, accounts.PlayerID(id)); err != nil {
			return answer{}, err
		}
		v.Session.Character = accounts.PlayerID(id)
	}
	t, err := s.accounts.Token(c.ctx, v)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: struct {
		Token   string `json:"token"`
		Expires string `json:"expires"`
		Player  string `json:"player"`
		Name    string `json:"name"`
	}{t.Token, stamp(t.Expires), t.Player.String(), t.Name}}, nil
}

// number reads an id in its one form.
func number(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, badRequest("bad_number", "an id is no number from 1 to 9223372036854775807", "send it as text in decimal, as it was in the answer")
	}
	return n, nil
}
