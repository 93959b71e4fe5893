package tables_test

import (
	"os"
	"regexp"
	"testing"
)

// TestTheFilesOfThePageLoad reads the blocks of docs/tables.md: two of YAML and one of CSV, which hold the same monsters.
func TestTheFilesOfThePageLoad(t *testing.T) {
	for _, page := range []string{"tables.md", "tables.zh-CN.md"} {
		text, err := os.ReadFile("../../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		yaml := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
		csv := regexp.MustCompile("(?ms)^```\n(id,.*?)^```$").FindStringSubmatch(string(text))
		if len(yaml) != 2 || csv == nil {
			t.Fatalf("%s: %d blocks of YAML, CSV %t", page, len(yaml), csv != nil)
		}
		one := load(t, good(map[string]string{"monsters.yaml": yaml[0][1], "items.yaml": yaml[1][1]}))
		other := load(t, good(map[string]string{"monsters.yaml": "", "monsters.csv": csv[1], "items.yaml": yaml[1][1]}))
		if one.Len("monsters") != 2 || one.Fingerprint() != other.Fingerprint() {
			t.Errorf("%s: the monsters of YAML and CSV differ:\n%v\n%v", page, one.Typed(), other.Typed())
		}
	}
}
