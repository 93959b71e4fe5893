//go:build !race

package tianxia_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// floors is the table of rooms: a room imports only rooms of lower floors. A
// room is one of these folders with everything below it; "." is the root
// package alone. A new room gets its line here, on the lowest floor that is
// above everything it needs.
var floors = map[string]int{
	"cmd":      8,
	"examples": 7,
	".":        6,

	"server":       5,
	"pkg/gateway":  5,
	"pkg/client":   5,
	"pkg/admin":    5,
	"pkg/services": 5,

	"pkg/cluster": 4,

	"pkg/game": 3,
	"pkg/link": 3,

	"pkg/network":     2,
	"pkg/rpc":         2,
	"pkg/db":          2,
	"pkg/redis":       2,
	"internal/schema": 2,

	"pkg/protocol": 1,
	"pkg/security": 1,
	"pkg/aoi":      1,
	"pkg/sync":     1,
	"pkg/config":   1,

	"proto_define":    0,
	"internal/models": 0,
	"internal/utils":  0,
	"web":             0,
}

// outside are folders that may hold Go files but that nothing imports, and
// that import nothing of ours unless they are modules of their own: a tool has
// to work while the tree is broken.
var outside = []string{"tools", "config"}

// bare are folders that hold rooms or packages but no Go file themselves:
// their names would shadow a package of the standard library or say nothing.
var bare = []string{"pkg", "internal", "pkg/sync", "internal/utils"}

// onlyFor limits who may import a room beyond what its floor says.
var onlyFor = map[string][]string{
	"internal/models": {"server", "cmd"},
}

// roomOf names the room that a folder belongs to: the top folder, or the first
// two below pkg and internal.
func roomOf(folder string) string {
	parts := strings.Split(folder, "/")
	if (parts[0] == "pkg" || parts[0] == "internal") && len(parts) > 1 {
		return path.Join(parts[0], parts[1])
	}
	return parts[0]
}

func importsOnlyDownwards(files []*goFile) []violation {
	var found []violation
	strangers := map[string]bool{}
	for _, file := range files {
		folder, room := file.folder(), roomOf(file.folder())
		if slices.Contains(bare, folder) {
			found = append(found, violation{file.name, folder + " holds a Go file",
				"its name shadows a standard package or says nothing about what is inside",
				"move the file into a package below " + folder})
			continue
		}
		if _, known := floors[room]; !known && !slices.Contains(outside, room) {
			if !strangers[room] {
				strangers[room] = true
				found = append(found, violation{file.name, "folder " + room + " is no known room",
					"a room without a floor could import anything",
					"add it to the table floors in guard_floors_test.go and to the architecture document, or move the file into the room it belongs to"})
			}
			continue
		}
		if !file.nested {
			found = append(found, wrongImports(file, room)...)
		}
	}
	return found
}

// wrongImports judges the imports of one file of a known room.
func wrongImports(file *goFile, room string) (found []violation) {
	// Tests from outside the root package boot whole worlds, sample games included.
	everything := room == "." && file.test() && strings.HasSuffix(file.syntax.Name.Name, "_test")
	for _, spec := range file.syntax.Imports {
		folder, ok := ours(spec)
		if !ok {
			continue
		}
		target := roomOf(folder)
		floor, known := floors[target]
		report := func(what, why, fix string) {
			found = append(found, violation{file.at(spec), what, why, fix})
		}
		allowed, limited := onlyFor[target]
		switch {
		case slices.Contains(outside, target):
			report(fmt.Sprintf("%s imports %s", room, folder), target+"/ is imported by none: it is not part of the framework",
				"move what is needed into a room")
		case target == room: // packages of one room see each other; the compiler refuses circles
		case !known:
			report(fmt.Sprintf("%s imports %s, which is in no known room", room, folder), "a room without a floor could import anything",
				"add the room to the table floors in guard_floors_test.go")
		case slices.Contains(outside, room):
			report(fmt.Sprintf("%s imports %s", file.folder(), folder), "a tool has to work while the tree is broken",
				"do without it, or make the tool a module of its own")
		case everything:
		case limited && !slices.Contains(allowed, room):
			report(fmt.Sprintf("%s imports %s", room, folder), target+" is for "+strings.Join(allowed, " and ")+" alone",
				"let the importing room define the small type or interface that it needs")
		case floor >= floors[room]:
			report(fmt.Sprintf("%s (floor %d) imports %s (floor %d)", room, floors[room], folder, floor),
				"a room imports only rooms of lower floors, so that each can be read, tested and replaced without those above",
				"take a small interface defined in "+room+", or move the shared type to a lower room")
		}
	}
	return found
}

func TestRoomsImportOnlyLowerFloors(t *testing.T) { holdTree(t, importsOnlyDownwards) }

func TestFloorsGuardCanFail(t *testing.T) {
	file := func(pkg string, imports ...string) string {
		text := "package " + pkg + "\n"
		for _, i := range imports {
			text += "import _ \"" + path.Join(modulePath, i) + "\"\n"
		}
		return text
	}
	provesGuard(t, importsOnlyDownwards, []guardCase{
		{"downwards", map[string]string{"pkg/game/a.go": file("game", "pkg/aoi", "internal/utils/ring")}, nil},
		{"up", map[string]string{"pkg/aoi/a.go": file("aoi", "internal/utils/ring", "pkg/game")},
			[]string{"pkg/aoi/a.go:3: pkg/aoi (floor 1) imports pkg/game (floor 3)"}},
		{"sideways", map[string]string{"pkg/aoi/a.go": file("aoi", "pkg/protocol")}, []string{"(floor 1) imports pkg/protocol (floor 1)"}},
		{"inside a room", map[string]string{"pkg/sync/batch/a.go": file("batch", "pkg/sync/delta")}, nil},
		{"a deep package counts as its room", map[string]string{"pkg/db/writeback/a.go": file("writeback", "pkg/game")}, []string{"pkg/db (floor 2) imports pkg/game"}},
		{"the root is above the server", map[string]string{"a.go": file("tianxia", "server"), "server/a.go": file("server", "")},
			[]string{"server/a.go:2: server (floor 5) imports . (floor 6)"}},
		{"a test keeps to the floors", map[string]string{"pkg/aoi/a_test.go": file("aoi_test", "pkg/game")}, []string{"pkg/aoi/a_test.go:2"}},
		{"the root's outer tests see everything", map[string]string{"a_test.go": file("tianxia_test", "examples/plains", "internal/models", "server")}, nil},
		{"the root's inner tests do not", map[string]string{"a_test.go": file("tianxia", "examples/plains")}, []string{". (floor 6) imports examples/plains (floor 7)"}},
		{"models for the server", map[string]string{"server/a.go": file("server", "internal/models"), "cmd/mmo/a.go": file("main", "internal/models")}, nil},
		{"models for nobody else", map[string]string{"pkg/db/a.go": file("db", "internal/models")}, []string{"internal/models is for server and cmd alone"}},
		{"nothing imports tools", map[string]string{"cmd/mmo/a.go": file("main", "tools/testlog")}, []string{"tools/ is imported by none"}},
		{"tools import nothing", map[string]string{"tools/x/a.go": file("main", "pkg/aoi")}, []string{"a tool has to work while the tree is broken"}},
		{"tools with a module of their own may", map[string]string{"tools/x/go.mod": "module x\n", "tools/x/in/a.go": file("main", "pkg/aoi")}, nil},
		{"web imports nothing", map[string]string{"web/a.go": file("web", "pkg/protocol")}, []string{"web (floor 0) imports"}},
		{"unknown folder, said once", map[string]string{"pkg/physics/a.go": file("physics"), "pkg/physics/b.go": file("physics")},
			[]string{"add it to the table floors"}},
		{"import of an unknown folder", map[string]string{"pkg/aoi/a.go": file("aoi", "pkg/physics")}, []string{"which is in no known room"}},
		{"unknown top folder", map[string]string{"lib/a.go": file("lib")}, []string{"folder lib is no known room"}},
		{"bare folder", map[string]string{"pkg/sync/a.go": file("sync")}, []string{"pkg/sync holds a Go file"}},
		{"generated code keeps to the floors", map[string]string{"proto_define/a/v1/a.pb.go": "// Code generated by x. DO NOT EDIT.\n\n" + file("av1", "pkg/game")},
			[]string{"proto_define (floor 0) imports pkg/game"}},
	})
}
