package tianxia_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
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

// TestManualOfTheLoginServiceShowsWhatLoads reads the configurations of docs/services.md, in both languages.
func TestManualOfTheLoginServiceShowsWhatLoads(t *testing.T) {
	for _, manual := range []string{"docs/services.md", "docs/services.zh-CN.md"} {
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		_, text2, _ := strings.Cut(string(text), "```yaml\n# config/server.yaml\n")
		both, _, ok := strings.Cut(text2, "```")
		forServer, forGateway, ok2 := strings.Cut(both, "# config/gateway.yaml\n")
		if !ok || !ok2 {
			t.Fatalf("%s shows no configuration", manual)
		}
		server, gateway := tianxia.DefaultServerFile(), tianxia.DefaultGatewayFile()
		for _, c := range []struct {
			text string
			file any
		}{{forServer, &server}, {forGateway, &gateway}} {
			name := filepath.Join(t.TempDir(), "f.yaml")
			if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(c.file, config.Options{File: name, Env: []string{"MMO_SERVICES_ADMIN_SECRET=0123456789abcdef"}, Ignore: []string{"MMO_SERVICES_ADMIN_SECRET"}}); err != nil {
				t.Errorf("%s: %v", manual, err)
			}
		}
		if server.Services.Realm != gateway.Realm || server.Services.Issuer != gateway.Login.Issuer || server.Services.Keyring != gateway.Keys || gateway.Login.JWKS != server.Services.Issuer+"/v1/jwks.json" {
			t.Errorf("%s: server and gateway do not fit each other", manual)
		}
	}
}
