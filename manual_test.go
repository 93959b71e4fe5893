package tianxia_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// generatedTables are what stands between the marks of a package: in English the tables, which internal/schema keeps fresh, in Chinese where they are.
func generatedTables(pkg string) [2]*regexp.Regexp {
	name := regexp.QuoteMeta(pkg)
	return [2]*regexp.Regexp{
		regexp.MustCompile(`(?s)<!-- mmo gen ` + name + `: begin -->(.*?)<!-- mmo gen ` + name + `: end -->`),
		regexp.MustCompile(`(?s)<!-- tables of ` + name + `: begin -->(.*?)<!-- tables of ` + name + `: end -->`),
	}
}

func manual(t *testing.T, i int) string {
	t.Helper()
	b, err := os.ReadFile(manuals[i])
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// manualElements is the structure of a manual: headings with their numbers, lists, tables with their columns, links, and code as it is.
func manualElements(text string) (list []string) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	number := regexp.MustCompile(`^[0-9]+\. `)
	code := false
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
			list = append(list, line)
			continue
		case code:
			list = append(list, line)
			continue
		case strings.HasPrefix(line, "#"):
			words := strings.Fields(line)
			list = append(list, "a heading: "+strings.Join(words[:min(len(words), 2)], " "))
			if words[0] == "#" { // its title is of the language
				list[len(list)-1] = "the title"
			}
		case strings.HasPrefix(line, "- "), strings.HasPrefix(line, "<!--"):
			list = append(list, "an item of a list: "+line[:1])
		case number.MatchString(line):
			list = append(list, "an item: "+number.FindString(line))
		case strings.HasPrefix(line, "|"):
			list = append(list, fmt.Sprintf("a row of %d columns", strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")-1))
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(m[1], "#") {
				m[1] = "a place in this file"
			}
			list = append(list, "a link to "+m[1])
		}
	}
	return list
}

// TestManualTwinsAgree: both languages have the same headings, lists, tables, code and links in the same order.
func TestManualTwinsAgree(t *testing.T) {
	english, chinese := manual(t, 0), manual(t, 1)
	if l := strings.Split(english, "\n")[2]; l != "English | [简体中文](ProtoDesignMaunal_v1.0.zh-CN.md)" {
		t.Errorf("%s:3 is %q, want the language switch", manuals[0], l)
	}
	if l := strings.Split(chinese, "\n")[2]; l != "[English](ProtoDesignMaunal_v1.0.md) | 简体中文" {
		t.Errorf("%s:3 is %q, want the language switch", manuals[1], l)
	}
	for _, pkg := range []string{"mmo.v1", "plains.v1"} {
		marks := generatedTables(pkg)
		if tables := marks[0].FindStringSubmatch(english); tables == nil || !strings.Contains(tables[1], "**Routes of "+pkg+"**") {
			t.Errorf("%s has no tables of %s between their marks", manuals[0], pkg)
		}
		if where := marks[1].FindStringSubmatch(chinese); where == nil || !strings.Contains(where[1], "](ProtoDesignMaunal_v1.0.md#") {
			t.Errorf("%s does not say where the tables of %s are", manuals[1], pkg)
		}
		english, chinese = marks[0].ReplaceAllString(english, "<!-- "+pkg), marks[1].ReplaceAllString(chinese, "<!-- "+pkg)
	}
	swap := strings.NewReplacer("ProtoDesignMaunal_v1.0.zh-CN.md", "the twin", "ProtoDesignMaunal_v1.0.md", "the twin", "services.zh-CN.md", "services.md")
	a, b := manualElements(swap.Replace(english)), manualElements(swap.Replace(chinese))
	if len(a) < 300 {
		t.Errorf("only %d elements: has the manual's form changed?", len(a))
	}
	for i := range max(len(a), len(b)) {
		x, y := "nothing", "nothing"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Fatalf("the manuals part ways at their element %d: %s has %q, %s has %q\n\twhy: readers of either language are promised the same\n\tfix: change both", i+1, manuals[0], x, manuals[1], y)
		}
	}
}

// TestManualPlacesExist: links within a manual, and from the twin to the tables, lead to headings.
func TestManualPlacesExist(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	place := regexp.MustCompile(`\]\((ProtoDesignMaunal_v1\.0\.md)?#([^)]+)\)`)
	places := [2]map[string]bool{}
	for i := range manuals {
		places[i] = map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(manual(t, i), -1) {
			places[i][strings.Map(func(r rune) rune {
				switch {
				case r == ' ' || r == '-':
					return '-'
				case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
					return unicode.ToLower(r)
				}
				return -1
			}, m[1])] = true
		}
	}
	for i, name := range manuals {
		for _, m := range place.FindAllStringSubmatch(manual(t, i), -1) {
			in := places[i]
			if m[1] != "" {
				in = places[0]
			}
			if !in[m[2]] {
				t.Errorf("%s: link to #%s leads nowhere\n\twhy: a reader clicks it\n\tfix: name a heading", name, m[2])
			}
		}
	}
}

// TestManualsNumbersAreThoseOfTheCode looks for sizes, numbers and names of the code in the texts.
func TestManualsNumbersAreThoseOfTheCode(t *testing.T) {
	for i, name := range manuals {
		text := manual(t, i)
		history := text[strings.LastIndex(text, "\n## "):]
		for what, want := range map[string]string{
			"the size of a certificate": fmt.Sprintf("KeyCert (%d bytes)", security.KeyCertSize),
			"the size of HS1":           fmt.Sprintf("HS1 is %d bytes, of suite 2 %d + ticket", security.HS1Size, security.HS1Size),
			"the size of HS2":           fmt.Sprintf("HS2 is %d bytes", security.HS2Size),
			"the size of a ticket":      fmt.Sprintf("ticket (suite 2 only, 1 to %d bytes)", security.MaxTicket),
			"the overhead of a record":  fmt.Sprintf("`record_max` − %d", security.Overhead),
			"the subprotocol":           "`" + protocol.Subprotocol + "`",
			"a game's first error code": fmt.Sprint(int(protocol.FirstGameError)),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s is not said as %q", name, what, want)
			}
		}
		if rows := regexp.MustCompile(`(?m)^\| ([0-9]+) \| [0-9-]{10} \|`).FindAllStringSubmatch(history, -1); len(rows) != protocol.Version || rows[len(rows)-1][1] != fmt.Sprint(protocol.Version) {
			t.Errorf("%s: the history has %d versions, the last is %v; the code speaks %d\n\twhy: a change of bytes is told\n\tfix: add a row", name, len(rows), rows, protocol.Version)
		}
		for route := range uint16(protocol.FirstFrameworkRoute) {
			word := controlWord(t, route)
			if row := fmt.Sprintf("\n| %d | %s | ", route, strings.ToUpper(word)); word != "" && !strings.Contains(text, row) {
				t.Errorf("%s: the table of control routes has no %q", name, row)
			}
		}
	}
}

// controlWord is what a control route is called in text; "" if there is none.
func controlWord(t *testing.T, route uint16) string {
	t.Helper()
	c := manualConverter(t)
	text, err := c.AppendText(nil, protocol.Frame{Type: protocol.TypeControl, Flags: protocol.FlagJSON, Route: route, Payload: []byte("{}")}, protocol.ServerToClient)
	if err != nil {
		payload := make([]byte, map[uint16]int{protocol.RoutePing: protocol.PingSize, protocol.RoutePong: protocol.PongSize, protocol.RouteEcho: protocol.EchoSize}[route])
		if text, err = c.AppendText(nil, protocol.Frame{Type: protocol.TypeControl, Route: route, Payload: payload}, protocol.ServerToClient); err != nil {
			return ""
		}
	}
	m := regexp.MustCompile(`"r":"([a-z]+)"`).FindSubmatch(text)
	if m == nil {
		return ""
	}
	return string(m[1])
}

func manualConverter(t *testing.T) *protocol.Converter {
	t.Helper()
	routes := slices.Concat(protocol.FrameworkRoutes(), bind.Routes())
	descriptors, err := protocol.Descriptors(routes)
	if err != nil {
		t.Fatal(err)
	}
	table, err := protocol.NewRoutes(routes...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := protocol.NewConverter(table, descriptors)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestManualsTextsAreRight reads the examples of the development listener, converts them both ways, and gets the same texts again.
func TestManualsTextsAreRight(t *testing.T) {
	c := manualConverter(t)
	lines := regexp.MustCompile(`(?m)^\{"t":.*?\}( |$)`).FindAllString(manual(t, 0), -1)
	if len(lines) != 6 {
		t.Fatalf("%d examples, want one of each type", len(lines))
	}
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "  ")
		line = strings.TrimSpace(line)
		f, err := c.ParseText([]byte(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		d := protocol.ClientToServer
		if f.Type == protocol.TypeResponse || f.Type == protocol.TypeError {
			d = protocol.ServerToClient
		}
		if f.Flags&protocol.FlagJSON != 0 {
			if f.Payload, err = c.FromJSON(nil, f, d); err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			f.Flags &^= protocol.FlagJSON
		}
		want := strings.Replace(line, `"r":65`, `"r":"plains.spectate"`, 1)
		if got, err := c.AppendText(nil, f, d); err != nil || string(got) != want {
			t.Errorf("%s comes back as %s, %v", line, got, err)
		}
	}
}

// TestManualsJSONFrameIsThePush: the two forms of the push of section 5.1 are one message.
func TestManualsJSONFrameIsThePush(t *testing.T) {
	c := manualConverter(t)
	var binary, text protocol.Frame
	for _, x := range examples(t) {
		switch x.name {
		case "move":
			binary = x.f
		case "json":
			text = x.f
		}
	}
	got, err := c.FromJSON(nil, text, protocol.ClientToServer)
	if err != nil || !bytes.Equal(got, binary.Payload) {
		t.Errorf("the JSON is %x, %v; the push is %x", got, err, binary.Payload)
	}
}
