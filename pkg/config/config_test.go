package config

import (
	"errors"
	"flag"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everything has a key of every kind.
type everything struct {
	Listen  string          `yaml:"listen_addr" doc:"where clients connect"`
	Debug   bool            `yaml:"debug" doc:"talk more"`
	Small   int8            `yaml:"small" doc:"a small number"`
	Count   uint16          `yaml:"count" doc:"how many"`
	Big     uint64          `yaml:"big" doc:"very many"`
	Ratio   float64         `yaml:"ratio" doc:"part of the whole"`
	Timeout time.Duration   `yaml:"timeout" doc:"until silence counts as absence"`
	Memory  Bytes           `yaml:"memory" doc:"at most"`
	Names   []string        `yaml:"names" doc:"some names"`
	Ports   []int           `yaml:"ports" doc:"some ports"`
	Rates   map[string]int  `yaml:"rates" doc:"per name"`
	Address netip.Addr      `yaml:"address" doc:"of this host"`
	Maybe   *int            `yaml:"maybe" doc:"or not"`
	Token   string          `yaml:"token" secret:"true" doc:"shared"`
	Limits  limits          `yaml:"limits"`
	TLS     *tlsSection     `yaml:"tls"`
	Zones   []zone          `yaml:"zones" doc:"of this node"`
	Peers   map[string]zone `yaml:"peers" doc:"by name"`
	common  `yaml:",inline"`
	Log     func()
}

type limits struct {
	Players int           `yaml:"max_players" doc:"at once"`
	Idle    time.Duration `yaml:"idle" doc:"until kicked"`
}

func (l *limits) Validate() error {
	var errs []error
	if l.Players < 0 {
		errs = append(errs, errors.New("max_players: must not be negative; use 0 for none"))
	}
	if l.Idle < 0 {
		errs = append(errs, errors.New("Idle must not be negative"))
	}
	return errors.Join(errs...)
}

type tlsSection struct {
	Cert string `yaml:"cert" doc:"file"`
	Key  string `yaml:"key" secret:"true" doc:"file"`
}

type zone struct {
	Name string `yaml:"name" doc:"unique"`
	Size int    `yaml:"size" doc:"in metres"`
}

func (z zone) Validate() error {
	if z.Size > 1000 {
		return errors.New("the zone is too large: split it")
	}
	return nil
}

type common struct {
	Region string `yaml:"region"`
}

func (c common) Describe() map[string]string { return map[string]string{"region": "where it runs"} }

func defaults() *everything {
	return &everything{Listen: ":7000", Timeout: 3 * time.Second, Memory: 8 << 20, Names: []string{"a"}, Rates: map[string]int{"x": 1},
		Limits: limits{Players: 100}}
}

func parse(t testing.TB, text string, o Options) (*everything, *Origins, error) {
	t.Helper()
	c := defaults()
	o.File = "c.yaml"
	origins, err := load(c, o, []byte(text), nil)
	return c, origins, err
}

const full = `
# every kind
listen_addr: "0.0.0.0:7001"
debug: true
small: -128
count: 0xffff
big: 18_446_744_073_709_551_615
ratio: 1
timeout: 1m30s
memory: 1.5 GiB
names: [b, 'c d', "7"]
ports:
  - 1
  - 2
rates: {north: 3, "": 4}
address: ::1
maybe: 0
token: hunter2
limits:
  idle: 0
tls:
  cert: /a
zones:
  - {name: n, size: 5}
  - name: m
peers:
  p: {size: 9}
region: eu
`

func TestFileSetsEveryKindOfKey(t *testing.T) {
	c, origins, err := parse(t, full, Options{})
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := &everything{Listen: "0.0.0.0:7001", Debug: true, Small: -128, Count: 0xffff, Big: math.MaxUint64, Ratio: 1, Timeout: 90 * time.Second, Memory: 3 << 29,
		Names: []string{"b", "c d", "7"}, Ports: []int{1, 2}, Rates: map[string]int{"north": 3, "": 4}, Address: netip.MustParseAddr("::1"), Maybe: &zero, Token: "hunter2",
		Limits: limits{Players: 100}, TLS: &tlsSection{Cert: "/a"}, Zones: []zone{{"n", 5}, {"m", 0}}, Peers: map[string]zone{"p": {"", 9}}, common: common{"eu"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("loaded\n%+v, want\n%+v", c, want)
	}
	for key, want := range map[string]string{"debug": "c.yaml:4", "limits.max_players": "default", "limits.idle": "c.yaml:20", "zones[1].name": "c.yaml:25",
		"names[1]": "c.yaml:11", "peers.p.size": "c.yaml:27", "limits": "default", "nothing": "default"} {
		if got := origins.Of(key).String(); got != want {
			t.Errorf("origin of %s is %s, want %s", key, got, want)
		}
	}
}

func TestNothingIsFine(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "limits:\n  # max_players: 5\n", "tls:\n", "\ufeff# byte order mark\n", "{}"} {
		c, _, err := parse(t, text, Options{})
		if err != nil || !reflect.DeepEqual(c, defaults()) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestLayersLieOverEachOther(t *testing.T) {
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	if err := AddFlags(set, defaults()); err != nil {
		t.Fatal(err)
	}
	verbose := set.Bool("verbose", false, "of the program")
	if err := set.Parse([]string{"-limits.max_players=4", "-debug", "-verbose", "-tls.key", "k", "-names", "x, y"}); err != nil {
		t.Fatal(err)
	}
	env := []string{"MMO_LIMITS_MAX_PLAYERS=3", "MMO_TIMEOUT=7s", "MMO_LISTEN_ADDR=true", "MMO_TLS_CERT=env", "MMO_PORTS=[1,2]", "MMO_RATES={a: 1}", "MMO_ZONES=[{name: z}]", "MMO_COUNT=1",
		"MMO_COUNT=2", "HOME=/x", "MMO_GATEWAY_SERVICE_HOST=10.0.0.1", "MMO_GATEWAY_PORT_7000_TCP=tcp://10.0.0.1:7000", "MMO_GATEWAY_PORT=tcp://10.0.0.1:7000", "MMO_THEIRS_X=1", "MMO_MAYBE=5"}
	c, origins, err := parse(t, "limits: {max_players: 2, idle: 1s}\nnames: [f]\ndebug: false\nzones: [{size: 5}]\n", Options{Env: env, Flags: set, Ignore: []string{"MMO_THEIRS_*"}})
	if err != nil {
		t.Fatal(err)
	}
	five := 5
	want := defaults()
	want.Limits, want.Timeout, want.Listen, want.TLS, want.Debug, want.Names = limits{4, time.Second}, 7*time.Second, "true", &tlsSection{"env", "k"}, true, []string{"x", "y"}
	want.Ports, want.Rates, want.Zones, want.Count, want.Maybe = []int{1, 2}, map[string]int{"a": 1}, []zone{{Name: "z"}}, 2, &five
	if !reflect.DeepEqual(c, want) {
		t.Errorf("loaded\n%+v, want\n%+v", c, want)
	}
	if !*verbose {
		t.Error("the program's own flag is gone")
	}
	for key, want := range map[string]string{"limits.max_players": "flag -limits.max_players", "limits.idle": "c.yaml:1", "timeout": "env MMO_TIMEOUT", "memory": "default", "names": "flag -names",
		"names[0]": "flag -names", "tls.cert": "env MMO_TLS_CERT", "zones[0].name": "env MMO_ZONES", "zones[0].size": "env MMO_ZONES"} {
		if got := origins.Of(key).String(); got != want {
			t.Errorf("origin of %s is %s, want %s", key, got, want)
		}
	}
}

func TestOwnKeysCountThoughTheyAreIgnoredAsThoseOfAnotherProgram(t *testing.T) {
	c, origins, err := parse(t, "", Options{Env: []string{"MMO_TOKEN=sesame", "MMO_THEIRS=1"}, Ignore: []string{"MMO_TOKEN", "MMO_T*"}})
	if err != nil || c.Token != "sesame" || origins.Of("token").Kind != Env {
		t.Errorf("token %q from %v, %v", c.Token, origins.Of("token"), err)
	}
}

// picky finds fault with what is inside its fields.
type picky struct {
	Names []string `yaml:"names"`
	TLS   struct {
		Cert string `yaml:"cert"`
	} `yaml:"tls"`
}

func (*picky) Validate() error {
	return errors.Join(errors.New("names[1]: is a bad name"), errors.New("tls.cert: is not used"))
}

func TestValidateMayNameWhatIsInsideAField(t *testing.T) {
	_, err := load(&picky{}, Options{File: "c.yaml"}, []byte("tls:\n  cert: a\nnames:\n  - a\n  - b\n"), nil)
	want := `c.yaml:5:5: names[1]: is a bad name
c.yaml:2:9: tls.cert: is not used`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
}

func TestEmptyVariables(t *testing.T) {
	c, _, err := parse(t, "", Options{Env: []string{"MMO_LISTEN_ADDR=", "MMO_NAMES="}})
	if err != nil || c.Listen != "" || len(c.Names) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, _, err := parse(t, "", Options{Env: []string{"MMO_TIMEOUT="}}); err == nil || !strings.Contains(err.Error(), "env MMO_TIMEOUT: timeout: want a duration, got nothing") {
		t.Error(err)
	}
}

func TestFileOnDisk(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "c.yaml")
	if _, err := Load(defaults(), Options{File: name, Optional: true}); err != nil {
		t.Error(err)
	}
	if _, err := Load(defaults(), Options{}); err != nil {
		t.Error(err)
	}
	if _, err := Load(defaults(), Options{File: name}); err == nil || !strings.Contains(err.Error(), "name a file that exists") {
		t.Error(err)
	}
	if _, err := Load(defaults(), Options{File: dir, Optional: true}); err == nil {
		t.Error("a folder was read")
	}
	if err := os.WriteFile(name, []byte("debug: true"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	if _, err := Load(c, Options{File: name}); err != nil || !c.Debug {
		t.Error(c, err)
	}
	if err := os.WriteFile(name, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(c, Options{File: name}); err == nil || !strings.Contains(err.Error(), "no configuration") {
		t.Error(err)
	}
}

func TestValidateIsAskedFromTheInsideAndShownInPlace(t *testing.T) {
	_, _, err := parse(t, "limits:\n  max_players: -1\n  idle: -1s\nzones:\n  - size: 5\n  - size: 5000\npeers:\n  p:\n    size: 1001\n", Options{})
	want := `c.yaml:2:16: limits.max_players: must not be negative; use 0 for none
c.yaml:3:9: limits.idle: Idle must not be negative
c.yaml:6:5: zones[1]: the zone is too large: split it
c.yaml:9:5: peers.p: the zone is too large: split it`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
	_, _, err = parse(t, "limits: {max_players: -1}\n", Options{Env: []string{"MMO_LIMITS_MAX_PLAYERS=-2"}})
	if want := "env MMO_LIMITS_MAX_PLAYERS: limits.max_players: must not be negative; use 0 for none"; err == nil || err.Error() != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
	// What is wrong already is not asked as well.
	_, _, err = parse(t, "limits: {max_players: x, idle: -1s}\nzones: [{size: 5000}]", Options{})
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 || all[1].Key != "zones[0]" {
		t.Errorf("got %v", err)
	}
	var one *Error
	if !errors.As(err, &one) || one.Where.Line != 1 || one.Where.Column != 23 || one.Key != "limits.max_players" {
		t.Errorf("the first is %+v", one)
	}
}

func TestStructsThatAreNoConfigurationAreRefused(t *testing.T) {
	type self struct {
		Next *self `yaml:"next"`
	}
	type lists []lists
	for name, v := range map[string]any{
		"no pointer": everything{},
		"nil":        (*everything)(nil),
		"no struct":  new(int),
		"channel": &struct {
			C chan int `yaml:"c"`
		}{},
		"list of funcs": &struct {
			C []func() `yaml:"c"`
		}{},
		"interface": &struct {
			C any `yaml:"c"`
		}{},
		"map by numbers": &struct {
			C map[int]string `yaml:"c"`
		}{},
		"kebab": &struct {
			C int `yaml:"a-b"`
		}{},
		"upper case": &struct {
			C int `yaml:"Ab"`
		}{},
		"twice": &struct {
			A, B int `yaml:"a"`
		}{},
		"not exported": &struct {
			a int `yaml:"a"`
		}{},
		"option": &struct {
			A int `yaml:"a,string"`
		}{},
		"inline number": &struct {
			A int `yaml:",inline"`
		}{},
		"one variable": &struct {
			A int `yaml:"a_b"`
			B struct {
				B int `yaml:"b"`
			} `yaml:"a"`
		}{},
		"recursive": &self{},
		"endless list": &struct {
			A lists `yaml:"a"`
		}{},
	} {
		if _, err := Load(v, Options{}); err == nil || !strings.HasPrefix(err.Error(), "config: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBytesAreSizes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "512": 512, "512 B": 512, "8 MiB": 8 << 20, "8MiB": 8 << 20, "64 kB": 64000, "1.5 GiB": 3 << 29, "7 TiB": 7 << 40, "1 TB": 1e12, "2 GB": 2e9,
		"3 MB": 3e6, "0.5 KiB": 512, "9223372036854775807": math.MaxInt64, " 1 KiB ": 1024} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %d, %v", text, b, err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%d is %q, and that is %d, %v", b, b, again, err)
		}
	}
	for text, want := range map[string]string{"": "number", "MiB": "number", "-1 MiB": "negative", "8M": "powers of 1,024", "8 mib": "use B, KiB", "1.2.3": "number", "0.3 B": "whole", "9 EiB": "use B",
		"9000000000 GiB": "too large", "9223372036854775808": "too large", ".": "number", "1e3": "unit", "∞": "number", strings.Repeat("9", 400): "number"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %d, %v, want %q", text, b, err, want)
		}
	}
}
