package schema

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const reference = "../../docs/schema.md"

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheExamplesOfTheReferenceCompile feeds each block to the generator, so that the page cannot rot.
func TestTheExamplesOfTheReferenceCompile(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^```proto\n(.*?)^```$").FindAllStringSubmatch(page(t), -1)
	if len(blocks) < 7 {
		t.Fatalf("%d blocks", len(blocks))
	}
	prelude := blocks[0][1]
	for i, block := range blocks {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			source, folder := block[1], "game/v1"
			if !strings.HasPrefix(source, "syntax") {
				source = prelude + source
			} else if name := regexp.MustCompile(`(?m)^package (.*);`).FindStringSubmatch(source); name != nil {
				folder = strings.ReplaceAll(name[1], ".", "/")
			}
			root := lay(t, map[string]string{path.Join(folder, "x.proto"): source, "go.mod": "module example.com/game\n",
				"docs/manual.md": "<!-- mmo gen plains.v1: begin -->\n<!-- mmo gen plains.v1: end -->\n"})
			if _, err := Generate(root, Options{}); err != nil {
				t.Errorf("%v\n%s", err, source)
			}
		})
	}
}

// TestTheReferenceNamesEveryOption holds the page against options.proto.
func TestTheReferenceNamesEveryOption(t *testing.T) {
	text := page(t)
	var check func(m protoreflect.MessageDescriptor)
	check = func(m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if !strings.Contains(text, "`"+string(f.Name())+"`") {
				t.Errorf("%s is not explained", f.FullName())
			}
			if f.Message() != nil {
				check(f.Message())
			}
			for j := 0; f.Enum() != nil && j < f.Enum().Values().Len(); j++ {
				if v := f.Enum().Values().Get(j); !regexp.MustCompile("`\\[?" + string(v.Name()) + "\\]?`").MatchString(text) {
					t.Errorf("%s is not explained", v.FullName())
				}
			}
		}
	}
	for name, extension := range extensions() {
		if !strings.Contains(text, "## (mmo."+name+")") {
			t.Errorf("(mmo.%s) has no section", name)
		}
		check(extension.TypeDescriptor().Message())
	}
}
