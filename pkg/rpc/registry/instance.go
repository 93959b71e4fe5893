package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of an Instance.
const (
	MaxID        = 128       // bytes of an id
	MaxServices  = 256       // per instance
	MaxService   = 255       // bytes of a service's name
	MaxEndpoints = 16        // per instance
	MaxEndpoint  = 512       // bytes of an endpoint
	MaxHost      = 255       // bytes of a host id
	MaxLabels    = 64        // per instance
	MaxLabel     = 255       // bytes of a label's key, and of its value
	MaxWeight    = 10000     // of an instance
	MaxEncoded   = 256 << 10 // bytes of the JSON form; no valid instance needs as many
)

// Instance is one running server.
type Instance struct {
	ID        string            `json:"id"`                 // unique in the cluster; letters, digits and . _ -
	Epoch     uint64            `json:"epoch"`              // start of the process: a later one under the same id is another process
	Services  []string          `json:"services,omitempty"` // full names of what it serves
	Endpoints []string          `json:"endpoints"`          // where, in order of preference; see ParseEndpoint
	Host      string            `json:"host,omitempty"`     // id of the machine (HostID): who shares it may use shared memory and local sockets
	Weight    int               `json:"weight,omitempty"`   // share of the load compared to the others; 0 means 1
	Labels    map[string]string `json:"labels,omitempty"`   // anything else that callers select by
	State     State             `json:"state"`
}

// State says whether an instance wants new calls.
type State uint8

// The states.
const (
	Ready    State = iota // calls are welcome
	Draining              // it will end: no new calls, what runs is finished
)

// String is "ready" or "draining".
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText is String for the known states.
func (s State) MarshalText() ([]byte, error) {
	if s > Draining {
		return nil, fmt.Errorf("instance state %d is unknown: use Ready or Draining", uint8(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	switch string(b) {
	case "ready":
		*s = Ready
	case "draining":
		*s = Draining
	default:
		return fmt.Errorf("instance state %q is unknown: it is ready or draining", b)
	}
	return nil
}

// Serves reports whether the instance serves this service. All serve the empty name.
func (i *Instance) Serves(service string) bool {
	return service == "" || slices.Contains(i.Services, service)
}

// Equal reports whether both say the same.
func (i *Instance) Equal(j *Instance) bool {
	return i.ID == j.ID && i.Epoch == j.Epoch && i.Host == j.Host && i.Weight == j.Weight && i.State == j.State &&
		slices.Equal(i.Services, j.Services) && slices.Equal(i.Endpoints, j.Endpoints) && maps.Equal(i.Labels, j.Labels)
}

// Clone shares nothing with the original.
func (i *Instance) Clone() Instance {
	c := *i
	c.Services, c.Endpoints, c.Labels = slices.Clone(i.Services), slices.Clone(i.Endpoints), maps.Clone(i.Labels)
	return c
}

// Validate refuses an instance that cannot be registered, with what is wrong and how to mend it.
func (i *Instance) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("instance %s: %w", quote(i.ID), fmt.Errorf(format, args...))
	}
	if err := checkName("id", i.ID, MaxID, ""); err != nil {
		return wrong("%w", err)
	}
	if i.ID[0] == '.' {
		return wrong("the id starts with a dot: start it with a letter or digit")
	}
	if len(i.Services) > MaxServices {
		return wrong("%d services, at most %d: split the server", len(i.Services), MaxServices)
	}
	for n, service := range i.Services {
		if err := checkName("service", service, MaxService, "/"); err != nil {
			return wrong("%w", err)
		}
		if slices.Contains(i.Services[:n], service) {
			return wrong("service %s is named twice: name it once", quote(service))
		}
	}
	if len(i.Endpoints) == 0 {
		return wrong("no endpoint: nobody could call it; give at least one, such as unix:///run/world.sock")
	}
	if len(i.Endpoints) > MaxEndpoints {
		return wrong("%d endpoints, at most %d", len(i.Endpoints), MaxEndpoints)
	}
	for _, endpoint := range i.Endpoints {
		if _, _, err := ParseEndpoint(endpoint); err != nil {
			return wrong("%w", err)
		}
	}
	if err := checkText("host", i.Host, MaxHost); err != nil {
		return wrong("%w", err)
	}
	if i.Weight < 0 || i.Weight > MaxWeight {
		return wrong("weight %d is out of range: use 0 (that is 1) to %d", i.Weight, MaxWeight)
	}
	if len(i.Labels) > MaxLabels {
		return wrong("%d labels, at most %d", len(i.Labels), MaxLabels)
	}
	for key, value := range i.Labels {
		if err := checkName("label", key, MaxLabel, "/"); err != nil {
			return wrong("%w", err)
		}
		if err := checkText("value of label "+key, value, MaxLabel); err != nil {
			return wrong("%w", err)
		}
	}
	if i.State > Draining {
		return wrong("state %d is unknown: use Ready or Draining", uint8(i.State))
	}
	return nil
}

// checkName wants 1 to most bytes of letters, digits, '.', '_', '-' and more.
func checkName(what, s string, most int, more string) error {
	switch {
	case s == "":
		return fmt.Errorf("the %s is empty: give it a name of letters, digits and . _ -%s", what, more)
	case len(s) > most:
		return fmt.Errorf("%s %s has %d bytes, at most %d: shorten it", what, quote(s), len(s), most)
	}
	for n := range len(s) {
		c := s[n]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' && !strings.ContainsRune(more, rune(c)) {
			return fmt.Errorf("%s %s has %q at byte %d: use letters, digits and . _ -%s", what, quote(s), rune(c), n, more)
		}
	}
	return nil
}

func checkText(what, s string, most int) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("the %s has %d bytes, at most %d: shorten it", what, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("the %s is not UTF-8", what)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the %s %s has control characters: take them out", what, quote(s))
	}
	return nil
}

// quote keeps errors short whatever somebody put into a name.
func quote(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%.61q…", s[:61])
	}
	return fmt.Sprintf("%q", s)
}

// ParseInstance reads an instance from JSON, as encoding/json writes it, and validates it. Fields that it does not know are skipped: a newer process may have written it.
func ParseInstance(b []byte) (Instance, error) {
	var i Instance
	if len(b) > MaxEncoded {
		return i, fmt.Errorf("instance: %d bytes, at most %d", len(b), MaxEncoded)
	}
	if err := json.Unmarshal(b, &i); err != nil {
		return Instance{}, fmt.Errorf("instance: %w", err)
	}
	if err := i.Validate(); err != nil {
		return Instance{}, err
	}
	return i, nil
}
