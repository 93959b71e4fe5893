package registry_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

func TestWrongInstancesAreRefusedWithTheRemedy(t *testing.T) {
	tests := []struct {
		name   string
		change func(i *registry.Instance)
		want   string // "" if it is right
	}{
		{"sample", func(i *registry.Instance) {}, ""},
		{"least", func(i *registry.Instance) { *i = registry.Instance{ID: "a", Endpoints: []string{"/x"}} }, ""},
		{"no id", func(i *registry.Instance) { i.ID = "" }, "the id is empty: give it a name"},
		{"long id", func(i *registry.Instance) { i.ID = strings.Repeat("a", 129) }, "129 bytes, at most 128"},
		{"path in id", func(i *registry.Instance) { i.ID = "../a" }, `has '/' at byte 2: use letters, digits and . _ -`},
		{"percent in id", func(i *registry.Instance) { i.ID = "a%d" }, `instance "a%d": id "a%d" has '%'`},
		{"hidden id", func(i *registry.Instance) { i.ID = ".a" }, "starts with a dot"},
		{"service", func(i *registry.Instance) { i.Services = []string{"game.v1.World/x_y-z"} }, ""},
		{"empty service", func(i *registry.Instance) { i.Services = []string{""} }, "the service is empty"},
		{"service with a space", func(i *registry.Instance) { i.Services = []string{"a b"} }, `has ' ' at byte 1`},
		{"service twice", func(i *registry.Instance) { i.Services = []string{"a", "b", "a"} }, "named twice"},
		{"many services", func(i *registry.Instance) { i.Services = make([]string, 257) }, "split the server"},
		{"no endpoint", func(i *registry.Instance) { i.Endpoints = nil }, "give at least one"},
		{"many endpoints", func(i *registry.Instance) { i.Endpoints = make([]string, 17) }, "17 endpoints"},
		{"endpoint", func(i *registry.Instance) { i.Endpoints = []string{"tcp://:80"} }, "no host in front of the port"},
		{"host", func(i *registry.Instance) { i.Host = "a\n" }, "control characters"},
		{"long host", func(i *registry.Instance) { i.Host = strings.Repeat("a", 256) }, "shorten it"},
		{"host not text", func(i *registry.Instance) { i.Host = "\xff" }, "not UTF-8"},
		{"negative weight", func(i *registry.Instance) { i.Weight = -1 }, "weight -1 is out of range"},
		{"heavy", func(i *registry.Instance) { i.Weight = 10001 }, "out of range"},
		{"label", func(i *registry.Instance) { i.Labels = map[string]string{"a b": ""} }, "label"},
		{"label value", func(i *registry.Instance) { i.Labels = map[string]string{"a": "\x00"} }, "value of label a"},
		{"many labels", func(i *registry.Instance) {
			for n := range 65 {
				i.Labels[fmt.Sprint(n)] = ""
			}
		}, "labels, at most 64"},
		{"state", func(i *registry.Instance) { i.State = 2 }, "use Ready or Draining"},
	}
	for _, test := range tests {
		i := registrytest.Sample("a", "world")
		test.change(&i)
		err := i.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestEndpointsAreSplitAndChecked(t *testing.T) {
	tests := []struct{ in, scheme, address, wrong string }{
		{"/run/a.sock", "unix", "/run/a.sock", ""},
		{"unix:///run/a.sock", "unix", "/run/a.sock", ""},
		{"shm:///run/a.sock", "shm", "/run/a.sock", ""},
		{"uds:///run/a.sock", "uds", "/run/a.sock", ""},
		{`unix://C:\run\a.sock`, "unix", `C:\run\a.sock`, ""},
		{"tcp://10.0.0.1:7000", "tcp", "10.0.0.1:7000", ""},
		{"tls://[::1]:7000", "tls", "[::1]:7000", ""},
		{"inproc://world", "inproc", "world", ""},
		{"", "", "", "not absolute"},
		{"a.sock", "", "", "not absolute"},
		{"unix://a.sock", "", "", "not absolute"},
		{"unix:///", "", "", "not absolute"},
		{"10.0.0.1:7000", "", "", "not absolute"},
		{"tcp://10.0.0.1", "", "", "want host:port"},
		{"tcp://::1:80", "", "", "want host:port"},
		{"tcp://:80", "", "", "no host"},
		{"tcp://h:0", "", "", "1 to 65535"},
		{"tcp://h:http", "", "", "1 to 65535"},
		{"tcp://h:65536", "", "", "1 to 65535"},
		{"inproc://", "", "", "no name"},
		{"http://h:80", "", "", "unknown: use unix, shm"},
		{"unix:///" + strings.Repeat("a", 512), "", "", "at most 512"},
		{"unix:///a\x00", "", "", "control characters"},
	}
	for _, test := range tests {
		scheme, address, err := registry.ParseEndpoint(test.in)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) || scheme != "" || address != "" {
				t.Errorf("%q: %q, %q, %v, want %q", test.in, scheme, address, err, test.wrong)
			}
		} else if err != nil || scheme != test.scheme || address != test.address {
			t.Errorf("%q: %q, %q, %v", test.in, scheme, address, err)
		}
	}
}

func TestStatesAreText(t *testing.T) {
	for s, want := range map[registry.State]string{registry.Ready: "ready", registry.Draining: "draining", 7: "state(7)"} {
		if s.String() != want {
			t.Errorf("state %d is %q", s, s)
		}
		b, err := s.MarshalText()
		if (err == nil) != (s < 7) || err == nil && string(b) != want {
			t.Errorf("state %d is %q, %v as text", s, b, err)
		}
	}
}

func TestDefaultDirectoryFollowsTheEnvironment(t *testing.T) {
	t.Setenv("TIANXIA_RUN_DIR", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	base := t.TempDir()
	t.Setenv("TMPDIR", base)
	dir, err := registry.DefaultDirectory()
	if err != nil || !filepath.IsAbs(dir) || !strings.Contains(filepath.Base(dir), "tianxia") || runtime.GOOS != "windows" && filepath.Dir(dir) != base {
		t.Errorf("without anything: %q, %v", dir, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	if again, err := registry.DefaultDirectory(); err != nil || again != dir {
		t.Errorf("with a relative runtime folder: %q, %v", again, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", base)
	if dir, err := registry.DefaultDirectory(); err != nil || dir != filepath.Join(base, "tianxia") {
		t.Errorf("with a runtime folder: %q, %v", dir, err)
	}
	t.Setenv("TIANXIA_RUN_DIR", filepath.Join(base, "mine"))
	if dir, err := registry.DefaultDirectory(); err != nil || dir != filepath.Join(base, "mine") {
		t.Errorf("when told: %q, %v", dir, err)
	}
	t.Setenv("TIANXIA_RUN_DIR", "mine")
	if _, err := registry.DefaultDirectory(); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("when told a relative one: %v", err)
	}
}

func TestHostIDIsStable(t *testing.T) {
	id := registry.HostID()
	if len(id) != 32 || id != registry.HostID() {
		t.Errorf("host ids %q, %q", id, registry.HostID())
	}
	i := registrytest.Sample("a")
	i.Host = id
	if err := i.Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzParseInstance: what is taken is valid and survives being written again.
func FuzzParseInstance(f *testing.F) {
	b, err := json.Marshal(registrytest.Sample("a", "world"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"id":"A","endpoints":["/x"],"state":"draining","later":1}`))
	f.Add([]byte(`{"id":"a","endpoints":["tcp://[::1]:1"],"state":"gone"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := registry.ParseInstance(b)
		if err != nil {
			return
		}
		if err := i.Validate(); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		if j, err := registry.ParseInstance(again); err != nil || !j.Equal(&i) {
			t.Fatalf("%s: %+v, %v", again, j, err)
		}
	})
}
