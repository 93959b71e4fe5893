package tianxia_test

import (
	"reflect"
	"testing"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/config"
)

// TestSampleConfigurationsHoldEveryKeyWithItsDefault loads the files of config/ over nothing at all: what is not in them would be missing.
func TestSampleConfigurationsHoldEveryKeyWithItsDefault(t *testing.T) {
	server, gateway := tianxia.DefaultServerFile(), tianxia.DefaultGatewayFile()
	for name, c := range map[string]struct{ empty, want any }{
		"config/server.yaml":  {&tianxia.ServerFile{}, &server},
		"config/gateway.yaml": {&tianxia.GatewayFile{}, &gateway},
	} {
		origins, err := config.Load(c.empty, config.Options{File: name})
		if err != nil {
			t.Error(err)
			continue
		}
		if f, ok := c.empty.(*tianxia.ServerFile); ok && len(f.Game) == 0 {
			f.Game = nil // {} says the same
		}
		if !reflect.DeepEqual(c.empty, c.want) {
			t.Errorf("%s says %+v, the defaults are %+v", name, c.empty, c.want)
		}
		keys, err := config.Keys(c.want)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if o := origins.Of(k.Path); o.Kind != config.File || o.Line == 0 {
				t.Errorf("%s does not hold the key %s\n\twhy: it is what people look into for what there is\n\tfix: add the key with its default, and say what it is for", name, k.Path)
			}
			if k.Doc == "" {
				t.Errorf("key %s of %s is not explained: give the field a doc tag", k.Path, name)
			}
		}
	}
}
