package schema

import (
	"github.com/tianxia-mmo/tianxia/internal/schema/gobind"
	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/internal/schema/tsgen"
)

// generators write files from a model; keys are relative to the module's folder.
func generators() []func(*model.Tree) (map[string][]byte, error) {
	return []func(*model.Tree) (map[string][]byte, error){gomsg.Generate, gobind.Generate, tsgen.Generate}
}
