package config_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/config"
)

// Config is what a server can be told.
type Config struct {
	Listen string        `yaml:"listen" doc:"address that clients connect to, host:port"`
	Tick   time.Duration `yaml:"tick" doc:"length of a simulation step"`
	Token  string        `yaml:"token" secret:"true" doc:"shared by all nodes"`
	Limits Limits        `yaml:"limits"`
}

// Limits is a section of Config.
type Limits struct {
	Players int          `yaml:"max_players" doc:"at once"`
	Memory  config.Bytes `yaml:"memory" doc:"for caches"`
}

// Validate is asked when all layers are in place.
func (l Limits) Validate() error {
	if l.Players < 1 {
		return errors.New("max_players: want at least 1")
	}
	return nil
}

func Example() {
	file, err := os.CreateTemp("", "config")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	fmt.Fprint(file, "limits:\n  max_players: 500\n  memory: 8 MiB\n")
	file.Close()

	c := Config{Listen: ":7000", Tick: 50 * time.Millisecond} // the defaults
	origins, err := config.Load(&c, config.Options{File: file.Name(), Env: []string{"MMO_TICK=100ms", "MMO_TOKEN=hush"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Listen, c.Tick, c.Limits.Players, int64(c.Limits.Memory))
	fmt.Println("tick:", origins.Of("tick"), "- listen:", origins.Of("listen"))

	_, err = config.Load(&c, config.Options{Env: []string{"MMO_LIMITS_MAX_PLAYERS=0", "MMO_TICKS=1s"}})
	fmt.Println(err)
	// Output:
	// :7000 100ms 500 8388608
	// tick: env MMO_TICK - listen: default
	// env MMO_TICKS: no key has this variable: names that start with MMO_ are keys; did you mean MMO_TICK?
	// env MMO_LIMITS_MAX_PLAYERS: limits.max_players: want at least 1
}

func ExamplePrint() {
	c := Config{Listen: ":7000", Tick: 50 * time.Millisecond, Limits: Limits{Players: 100}}
	origins, err := config.Load(&c, config.Options{Env: []string{"MMO_TOKEN=hush"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := config.Print(os.Stdout, c, origins); err != nil {
		fmt.Println(err)
	}
	// Output:
	// listen: :7000 # default
	// tick: 50ms # default
	// token: '********' # env MMO_TOKEN
	// limits:
	//   max_players: 100 # default
	//   memory: 0 B # default
}
