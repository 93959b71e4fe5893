package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json`, see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output, where there is no Package
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// count is how many tests ended how. Only leaves count: a test with subtests
// stands for them, unless it fails by itself.
type count struct{ passed, failed, skipped int }

// test is what is known about one running or ended test.
type test struct {
	name    string
	ended   string // pass, fail, skip or nothing yet
	output  []string
	parent  bool // has subtests
	blames  bool // a subtest failed or never ended, which explains this one's failure
	started int  // order of appearance
}

// pack is one package while its tests run.
type pack struct {
	tests    map[string]*test
	output   []string // said outside any test
	cached   bool
	coverage string
}

// log gathers events by package, since packages run side by side, and writes
// each package out when it ends.
type log struct {
	out    io.Writer
	module string
	packs  map[string]*pack
	builds map[string][]string // compiler output by import path
	total  count
}

func newLog(out io.Writer, module string) *log {
	return &log{out: out, module: module, packs: map[string]*pack{}, builds: map[string][]string{}}
}

// line takes one line of the stream. What is no event is passed on: the go
// command complains in plain text when it cannot even begin.
func (l *log) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil || e.Action == "" {
		fmt.Fprint(l.out, string(text))
		return
	}
	if e.Package == "" {
		if e.Action == "build-output" {
			// "path [path.test]" is the same code, built for a test.
			path, _, _ := strings.Cut(e.ImportPath, " ")
			l.builds[path] = append(l.builds[path], e.Output)
		}
		return
	}
	p := l.packs[e.Package]
	if p == nil {
		p = &pack{tests: map[string]*test{}}
		l.packs[e.Package] = p
	}
	if e.Test == "" {
		l.packageEvent(p, e)
		return
	}
	p.testEvent(e)
}

func (p *pack) testEvent(e event) {
	t := p.tests[e.Test]
	if t == nil {
		t = &test{name: e.Test, started: len(p.tests)}
		p.tests[e.Test] = t
		if above, ok := p.above(e.Test); ok {
			above.parent = true
		}
	}
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t.ended = e.Action
	}
}

// above finds the test that a subtest belongs to.
func (p *pack) above(name string) (*test, bool) {
	slash := strings.LastIndexByte(name, '/')
	if slash < 0 {
		return nil, false
	}
	t, ok := p.tests[name[:slash]]
	return t, ok
}

// coverageLine is never changed.
var coverageLine = regexp.MustCompile(`^coverage: ([0-9.]+%) of statements`)

func (l *log) packageEvent(p *pack, e event) {
	switch e.Action {
	case "output":
		p.cached = p.cached || strings.Contains(e.Output, "\t(cached)")
		if strings.HasPrefix(e.Output, "coverage: ") {
			if m := coverageLine.FindStringSubmatch(e.Output); m != nil {
				p.coverage = m[1]
			}
			return
		}
		p.output = append(p.output, e.Output)
	case "pass", "fail", "skip":
		l.end(p, e)
		delete(l.packs, e.Package)
	}
}

// end writes a package out.
func (l *log) end(p *pack, e event) {
	name := strings.TrimPrefix(strings.TrimPrefix(e.Package, l.module), "/")
	if name == "" {
		name = "."
	}
	tests := p.inOrder()
	for _, t := range tests {
		if above, ok := p.above(t.name); ok && (t.ended == "fail" || t.ended == "") {
			above.blames = true
		}
	}
	var c count
	var failed []*test
	var skips []string
	for _, t := range tests {
		switch {
		case t.ended == "pass" && !t.parent:
			c.passed++
		case t.ended == "skip" && !t.parent:
			c.skipped++
			skips = append(skips, fmt.Sprintf("        skipped %s%s\n", t.name, t.reason()))
		case t.ended == "fail" || t.ended == "": // without an end: the process died under it
			failed = append(failed, t)
			if !t.blames {
				c.failed++
			}
		}
	}
	if e.Action == "fail" && len(failed) == 0 {
		c.failed++ // it did not build, or died outside any test
	}
	l.total.passed += c.passed
	l.total.failed += c.failed
	l.total.skipped += c.skipped

	fmt.Fprintln(l.out, l.summary(p, e, name, c, len(tests)))
	for _, s := range skips {
		fmt.Fprint(l.out, s)
	}
	if e.Action == "fail" {
		l.explain(p, e, failed)
	}
}

func (l *log) summary(p *pack, e event, name string, c count, tests int) string {
	if tests == 0 && e.Action != "fail" {
		return fmt.Sprintf("  --    %-34s no tests", name)
	}
	verdict := "ok  "
	if e.Action == "fail" {
		verdict = "FAIL"
	}
	line := fmt.Sprintf("  %s  %-34s %4d passed", verdict, name, c.passed)
	if c.failed > 0 {
		line += fmt.Sprintf(", %d failed", c.failed)
	}
	if c.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", c.skipped)
	}
	if p.cached {
		line += "  cached"
	} else {
		line += fmt.Sprintf("  %.1fs", e.Elapsed)
	}
	if p.coverage != "" {
		line += "  covers " + p.coverage
	}
	return line
}

// explain prints everything that helps to mend a failed package: what the
// compiler said, what failed tests said, and what was said outside of tests.
func (l *log) explain(p *pack, e event, failed []*test) {
	var text []string
	text = append(text, l.builds[e.Package]...)
	for _, t := range failed {
		text = append(text, t.output...)
	}
	text = append(text, p.output...)
	if len(l.builds[e.Package]) == 0 && len(failed) == 0 {
		for _, path := range slices.Sorted(maps.Keys(l.builds)) { // a package that this one imports
			text = append(text, l.builds[path]...)
		}
		for _, t := range p.inOrder() { // it died after its tests: any of them may have said why
			text = append(text, t.output...)
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(strings.Join(text, ""), "\n"), "\n") {
		fmt.Fprintln(l.out, "        "+line)
	}
}

// close reports packages that never ended: the go command died.
func (l *log) close() {
	for _, path := range slices.Sorted(maps.Keys(l.packs)) {
		l.end(l.packs[path], event{Action: "fail", Package: path})
	}
}

func (p *pack) inOrder() []*test {
	tests := make([]*test, 0, len(p.tests))
	for _, t := range p.tests {
		tests = append(tests, t)
	}
	slices.SortFunc(tests, func(a, b *test) int { return a.started - b.started })
	return tests
}

// placeOfSkip is never changed.
var placeOfSkip = regexp.MustCompile(`^\s+\S+\.go:\d+: (.+)`)

// reason is what a test said when it skipped itself.
func (t *test) reason() string {
	for _, line := range slices.Backward(t.output) {
		if m := placeOfSkip.FindStringSubmatch(line); m != nil {
			return ": " + strings.TrimSpace(m[1])
		}
	}
	return ""
}
