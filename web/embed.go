// Package web embeds the built demo page, web/dist: what a browser needs to play, without Node and without a network.
//
// It only hands out bytes: any goroutine may call it, and there is nothing to stop. The page is built from the TypeScript beside it by
// "go run -C tools/web .".
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Assets returns the built page: index.html at the root, and the scripts and styles that it names beside it.
func Assets() fs.FS {
	root, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: the embedded folder has no dist: " + err.Error()) // cannot be: the embed directive names it
	}
	return root
}
