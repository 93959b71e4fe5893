package config

import (
	"bytes"
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// printsAsItself prints c and loads that again.
func printsAsItself(t *testing.T, c *everything, origins *Origins) {
	t.Helper()
	var out bytes.Buffer
	if err := Print(&out, c, origins); err != nil {
		t.Fatal(err)
	}
	again := &everything{}
	if _, err := load(again, Options{File: "printed"}, out.Bytes(), nil); err != nil {
		t.Fatalf("what was printed does not load: %v\n%s", err, out.Bytes())
	}
	want := *c
	if want.Token != "" {
		want.Token = mask
	}
	if want.TLS != nil && want.TLS.Key != "" {
		section := *want.TLS
		section.Key = mask
		want.TLS = &section
	}
	if len(want.Names) == 0 {
		want.Names, again.Names = nil, nil
	}
	if len(want.Ports) == 0 {
		want.Ports, again.Ports = nil, nil
	}
	if len(want.Zones) == 0 {
		want.Zones, again.Zones = nil, nil
	}
	if len(want.Rates) == 0 {
		want.Rates, again.Rates = nil, nil
	}
	if len(want.Peers) == 0 {
		want.Peers, again.Peers = nil, nil
	}
	if !reflect.DeepEqual(&want, again) {
		t.Fatalf("printed\n%s\nloads as\n%+v, want\n%+v", out.Bytes(), again, &want)
	}
}

func TestPrintShowsValuesAndOriginsAndMasksSecrets(t *testing.T) {
	c, origins, err := parse(t, full, Options{Env: []string{"MMO_LIMITS_MAX_PLAYERS=7", "MMO_TLS_KEY=very secret"}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Print(&out, c, origins); err != nil {
		t.Fatal(err)
	}
	want := `listen_addr: 0.0.0.0:7001 # c.yaml:3
debug: true # c.yaml:4
small: -128 # c.yaml:5
count: 65535 # c.yaml:6
big: 18446744073709551615 # c.yaml:7
ratio: 1 # c.yaml:8
timeout: 1m30s # c.yaml:9
memory: 1536 MiB # c.yaml:10
names: [b, c d, "7"] # c.yaml:11
ports: [1, 2] # c.yaml:13
rates: {"": 4, north: 3} # c.yaml:15
address: ::1 # c.yaml:16
maybe: 0 # c.yaml:17
token: '********' # c.yaml:18
limits:
  max_players: 7 # env MMO_LIMITS_MAX_PLAYERS
  idle: 0s # c.yaml:20
tls:
  cert: /a # c.yaml:22
  key: '********' # env MMO_TLS_KEY
# c.yaml:24
zones:
  - name: n
    size: 5
  - name: m
    size: 0
# c.yaml:27
peers:
  p:
    name: ""
    size: 9
region: eu # c.yaml:28
`
	if out.String() != want {
		t.Errorf("printed\n%s", out.String())
	}
	printsAsItself(t, c, origins)
	printsAsItself(t, defaults(), nil)
	printsAsItself(t, &everything{}, nil)
	if err := Print(&out, 5, nil); err == nil {
		t.Error("a number was printed")
	}
	out.Reset()
	if err := Print(&out, struct{}{}, nil); err != nil || out.Len() != 0 {
		t.Errorf("nothing prints as %q, %v", out.String(), err)
	}
}

func TestKeysAreListedWithTheirDocs(t *testing.T) {
	keys, err := Keys(defaults())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, k := range keys {
		if k.Doc == "" {
			t.Errorf("%s has no doc", k.Path)
		}
		fmt.Fprintf(&out, "%s|%s|%s|%s|%v\n", k.Path, k.Type, k.Default, k.Env, k.Secret)
	}
	want := `listen_addr|text|:7000|MMO_LISTEN_ADDR|false
debug|true or false|false|MMO_DEBUG|false
small|a whole number|0|MMO_SMALL|false
count|a whole number|0|MMO_COUNT|false
big|a whole number|0|MMO_BIG|false
ratio|a number|0|MMO_RATIO|false
timeout|a duration|3s|MMO_TIMEOUT|false
memory|a size|8 MiB|MMO_MEMORY|false
names|a list of texts|[a]|MMO_NAMES|false
ports|a list of whole numbers||MMO_PORTS|false
rates|a map of whole numbers|{x: 1}|MMO_RATES|false
address|text||MMO_ADDRESS|false
maybe|a whole number||MMO_MAYBE|false
token|text||MMO_TOKEN|true
limits.max_players|a whole number|100|MMO_LIMITS_MAX_PLAYERS|false
limits.idle|a duration|0s|MMO_LIMITS_IDLE|false
tls.cert|text||MMO_TLS_CERT|false
tls.key|text||MMO_TLS_KEY|true
zones|a list of sections||MMO_ZONES|false
zones[].name|text|||false
zones[].size|a whole number|||false
peers|a map of sections||MMO_PEERS|false
peers.*.name|text|||false
peers.*.size|a whole number|||false
region|text||MMO_REGION|false
`
	if out.String() != want {
		t.Errorf("keys\n%s", out.String())
	}
	if again, err := Keys(*defaults()); err != nil || len(again) != len(keys) {
		t.Errorf("a struct by value has %d keys, %v", len(again), err)
	}
	if _, err := Keys(5); err == nil {
		t.Error("a number has keys")
	}
	if _, err := Keys((*everything)(nil)); err == nil {
		t.Error("nil has keys")
	}
	if err := AddFlags(flag.NewFlagSet("", flag.ContinueOnError), 5); err == nil {
		t.Error("a number has flags")
	}
}
