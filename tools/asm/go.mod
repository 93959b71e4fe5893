// The generator of the assembly of pkg/aoi, with a module of its own so that
// its dependencies never mix with those of the framework.
module github.com/tianxia-mmo/tianxia/tools/asm

go 1.26.0

require github.com/mmcloughlin/avo v0.6.0

require (
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
)
