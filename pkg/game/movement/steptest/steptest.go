// Package steptest holds the two twins of a movement step together: the one in Go that the zone runs, and the one in TypeScript that predicts it.
//
// A test in Go draws cases from a seed, or reads a recorded list of inputs, runs the step and keeps the results in a vectors file next to it. The TypeScript
// test runs its twin over the same file (checkSteps of web/sdk/fixed/steps.ts). Both fail at the first difference and name the case, the step, the field and
// both values. It is meant for tests; all of it is plain functions.
package steptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Rule is a movement step and where it is tried. W is what it moves in, S the state that it changes, I the input of one tick: structs whose fields are whole
// numbers below 2^53, booleans, or such structs. Fields are called as in JSON, and so in TypeScript.
type Rule[W, S, I any] struct {
	Name  string                                    // of the rule, for messages and the head of the file
	Step  func(w *W, s S, in I) S                   // one tick
	Begin func(r *rand.Rand) (W, S)                 // somewhere random; edges should be likely
	Input func(r *rand.Rand, w *W, s S) I           // a random input, given where it goes
	Holds func(w *W, before S, in I, after S) error // optional: what must be true of every step, beyond both twins being equal
}

// Case is a way through the world: a state and the inputs of the ticks after it.
type Case[W, S, I any] struct {
	Name   string
	World  W
	Start  S
	Inputs []I
}

// Difference is a step whose results are not those of a vectors file.
type Difference struct {
	Rule, Case string
	Step       int    // from 0
	Field      string // the first of the state that differs
	Got, Want  int64
}

// Error names the rule, the case, the step, the field and both values.
func (d *Difference) Error() string {
	return fmt.Sprintf("%s: case %q, step %d: %s is %d, want %d", d.Rule, d.Case, d.Step, d.Field, d.Got, d.Want)
}

// Draw makes n random cases of so many steps each, the same for the same seed.
func (u *Rule[W, S, I]) Draw(seed uint64, n, steps int) []Case[W, S, I] {
	cases := make([]Case[W, S, I], n)
	for i := range cases {
		r := rand.New(rand.NewPCG(seed, uint64(i))) // one each: a change of one case leaves the others
		c := &cases[i]
		c.Name = fmt.Sprintf("random %d", i)
		c.World, c.Start = u.Begin(r)
		s := c.Start
		for range steps {
			in := u.Input(r, &c.World, s)
			c.Inputs = append(c.Inputs, in)
			s = u.Step(&c.World, s, in)
		}
	}
	return cases
}

// file is what a vectors file holds. A recorded list of inputs is the same without want. Structs are rows of numbers, in the order of the heads.
type file struct {
	Rule  string    `json:"rule"`
	World []string  `json:"world"`
	State []string  `json:"state"`
	Input []string  `json:"input"`
	Cases []fileRow `json:"cases"`
}

type fileRow struct {
	Name   string    `json:"name"`
	World  []int64   `json:"world"`
	Start  []int64   `json:"start"`
	Inputs [][]int64 `json:"inputs"`
	Want   [][]int64 `json:"want,omitempty"`
}

// Record writes cases without results: a recorded list of inputs, for Recorded.
func (u *Rule[W, S, I]) Record(cases []Case[W, S, I]) ([]byte, error) { return u.write(cases, false) }

// Vectors runs the step over the cases and writes the vectors file. It fails where Holds does.
func (u *Rule[W, S, I]) Vectors(cases []Case[W, S, I]) ([]byte, error) { return u.write(cases, true) }

func (u *Rule[W, S, I]) write(cases []Case[W, S, I], run bool) ([]byte, error) {
	world, state, input, err := u.shapes()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer // a case per line, so that a change of the rule is readable in a diff
	head, err := json.Marshal(file{Rule: u.Name, World: world.names, State: state.names, Input: input.names, Cases: []fileRow{}})
	if err != nil {
		return nil, err
	}
	text.Write(bytes.TrimSuffix(head, []byte("]}")))
	for i := range cases {
		c := &cases[i]
		row := fileRow{Name: c.Name, World: world.row(c.World), Start: state.row(c.Start), Inputs: [][]int64{}}
		s := c.Start
		for step, in := range c.Inputs {
			row.Inputs = append(row.Inputs, input.row(in))
			if !run {
				continue
			}
			next := u.Step(&c.World, s, in)
			if u.Holds != nil {
				if err := u.Holds(&c.World, s, in, next); err != nil {
					return nil, fmt.Errorf("%s: case %q, step %d: %w", u.Name, c.Name, step, err)
				}
			}
			s = next
			row.Want = append(row.Want, state.row(s))
		}
		for _, values := range append(append(slices.Clone(row.Want), row.Inputs...), row.World, row.Start) {
			for _, v := range values {
				if v > 1<<53 || v < -1<<53 {
					return nil, fmt.Errorf("%s: case %q holds %d, which no number of TypeScript is: need at most 2^53", u.Name, c.Name, v)
				}
			}
		}
		line, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		text.WriteString([]string{"\n", ",\n"}[min(i, 1)])
		text.Write(line)
	}
	text.WriteString("\n]}\n")
	return text.Bytes(), nil
}

// Recorded reads a list of inputs that Record wrote, or the cases of a vectors file.
func (u *Rule[W, S, I]) Recorded(b []byte) ([]Case[W, S, I], error) {
	cases, _, err := u.read(b)
	return cases, err
}

func (u *Rule[W, S, I]) read(b []byte) ([]Case[W, S, I], file, error) {
	world, state, input, err := u.shapes()
	if err != nil {
		return nil, file{}, err
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, f, fmt.Errorf("%s: read vectors: %w", u.Name, err)
	}
	for _, h := range [...]struct {
		what       string
		have, want []string
	}{{"world", f.World, world.names}, {"state", f.State, state.names}, {"input", f.Input, input.names}} {
		if !slices.Equal(h.have, h.want) {
			return nil, f, fmt.Errorf("%s: the file's %s has the fields %q, the rule's %q: write the file anew", u.Name, h.what, h.have, h.want)
		}
	}
	cases := make([]Case[W, S, I], len(f.Cases))
	for i, row := range f.Cases {
		c := &cases[i]
		c.Name = row.Name
		if err := world.fill(&c.World, row.World); err != nil {
			return nil, f, fmt.Errorf("%s: case %q, world: %w", u.Name, row.Name, err)
		}
		if err := state.fill(&c.Start, row.Start); err != nil {
			return nil, f, fmt.Errorf("%s: case %q, start: %w", u.Name, row.Name, err)
		}
		c.Inputs = make([]I, len(row.Inputs))
		for j, values := range row.Inputs {
			if err := input.fill(&c.Inputs[j], values); err != nil {
				return nil, f, fmt.Errorf("%s: case %q, input %d: %w", u.Name, row.Name, j, err)
			}
		}
	}
	return cases, f, nil
}

// Check runs the step over a vectors file and returns the first *Difference, or what is wrong with the file.
func (u *Rule[W, S, I]) Check(vectors []byte) error {
	cases, f, err := u.read(vectors)
	if err != nil {
		return err
	}
	_, state, _, _ := u.shapes()
	for i := range cases {
		c, want := &cases[i], f.Cases[i].Want
		if len(want) != len(c.Inputs) {
			return fmt.Errorf("%s: case %q has %d inputs and %d results: it is no vectors file", u.Name, c.Name, len(c.Inputs), len(want))
		}
		s := c.Start
		for step, in := range c.Inputs {
			s = u.Step(&c.World, s, in)
			got := state.row(s)
			if len(want[step]) != len(got) {
				return fmt.Errorf("%s: case %q, step %d: %d values, need %d", u.Name, c.Name, step, len(want[step]), len(got))
			}
			for j := range got {
				if got[j] != want[step][j] {
					return &Difference{u.Name, c.Name, step, state.names[j], got[j], want[step][j]}
				}
			}
		}
	}
	return nil
}

// Fresh fails the test unless a vectors file is what the step does now; with update it writes the file.
func (u *Rule[W, S, I]) Fresh(t testing.TB, name string, cases []Case[W, S, I], update bool) {
	t.Helper()
	text, err := u.Vectors(cases)
	if err != nil {
		t.Fatal(err)
	}
	if update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Check(have); err != nil {
		t.Fatalf("%s: %v: if the rule has changed on purpose, run the test with -update and look at the difference", name, err)
	}
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), text) {
		t.Fatalf("%s has other cases than the test: run it with -update and look at the difference", name)
	}
}
