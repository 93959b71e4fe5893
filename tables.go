package tianxia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	"github.com/tianxia-mmo/tianxia/server"
)

// tablesFolder is a folder of data tables that is looked at while a world runs.
type tablesFolder struct {
	fsys   fs.FS
	schema *tables.Schema
	set    *tables.Set
	looks  string // of the files when they were read
}

// openTables reads the tables of a folder into the zones' configurations; without a folder there is nothing to do, and the result is nil.
func openTables(folder string, g *game.Game, zones []game.Config) (*tablesFolder, error) {
	if folder == "" {
		return nil, nil
	}
	if g.Schema.Tables == nil {
		return nil, &UsageError{fmt.Sprintf("tables %q: the game declares no data tables in its schema", folder)}
	}
	f := &tablesFolder{fsys: os.DirFS(folder), schema: g.Schema.Tables}
	var err error
	if f.looks, err = looks(f.fsys); err != nil {
		return nil, fmt.Errorf("data tables in %s: %w", folder, err)
	}
	if f.set, err = tables.Load(f.fsys, f.schema); err != nil {
		return nil, fmt.Errorf("data tables in %s: %w", folder, err)
	}
	for i := range zones {
		zones[i].Tables = f.set
	}
	return f, nil
}

// looks tells whether files may have changed: their names, sizes and times.
func looks(fsys fs.FS) (string, error) {
	all, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return "", err
	}
	s := ""
	for _, f := range all {
		if info, err := f.Info(); err == nil {
			s += fmt.Sprintln(f.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return s, nil
}

// tablesLook is how often the folder is looked at.
const tablesLook = time.Second

// watch reads the folder again whenever it has changed, until ctx ends. What holds a mistake changes nothing, and is logged once.
func (f *tablesFolder) watch(ctx context.Context, s *server.Server, log *slog.Logger) {
	if f == nil {
		return
	}
	tick := time.NewTicker(tablesLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(s, log)
		}
	}
}

func (f *tablesFolder) look(s *server.Server, log *slog.Logger) {
	now, err := looks(f.fsys)
	if err != nil || now == f.looks {
		return // a folder that is being replaced will be there again
	}
	f.looks = now
	set, err := tables.Load(f.fsys, f.schema)
	if err != nil {
		log.Error("data tables hold mistakes and stay as they are", "error", err)
		return
	}
	if set.Fingerprint() == f.set.Fingerprint() {
		return
	}
	if err := s.UseTables(set); err != nil {
		log.Error("data tables stay as they are", "error", err)
		return
	}
	f.set = set
}

// checkTables is the command tables: it says what is in a folder of data tables, or what is wrong with them.
func (a App) checkTables(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 || args[0] != "check" {
		fmt.Fprintf(stderr, "%s: need \"%s tables check FOLDER\"\n", a.name(), a.name())
		return exitUsage
	}
	g, _, err := a.New(0)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitFailed
	}
	if g.Schema.Tables == nil {
		fmt.Fprintf(stderr, "%s: the game declares no data tables: give a message of its schema the option (mmo.table)\n", a.name())
		return exitFailed
	}
	if info, err := os.Stat(args[1]); err != nil || !info.IsDir() {
		fmt.Fprintf(stderr, "%s: %q is no folder that can be read\n", a.name(), args[1])
		return exitUsage
	}
	err = tables.Check(stdout, os.DirFS(args[1]), g.Schema.Tables)
	var bad *fs.PathError
	switch {
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitFailed
	case err != nil:
		return exitFailed
	}
	return exitOK
}
