package password

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds of the parameters, of Config and of what is read from a store: a row that was tampered with must not stop the machine.
const (
	maxMemory  = 1 << 20 // KiB
	maxPasses  = 64
	maxThreads = 16
)

// cost is what one hash costs.
type cost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

func (c cost) inBounds() bool {
	return c.passes >= 1 && c.passes <= maxPasses && c.threads >= 1 && c.threads <= maxThreads && c.memory >= 8*uint32(c.threads) && c.memory <= maxMemory
}

// below says that a hash of cost c is to be renewed where want is asked for: one of memory and passes was raised. Threads change how a hash is
// computed, not what an attacker pays.
func (c cost) below(want cost) bool { return c.memory < want.memory || c.passes < want.passes }

// encoding is a hash with all that is needed to compute it again.
type encoding struct {
	cost cost
	salt []byte
	key  []byte
}

// String is the form that is stored, the customary one of argon2, base64 without padding:
//
//	$argon2id$v=19$m=<KiB>,t=<passes>,p=<threads>$<salt, 16 bytes>$<key, 32 bytes>
func (e encoding) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, e.cost.memory, e.cost.passes, e.cost.threads,
		b64.EncodeToString(e.salt), b64.EncodeToString(e.key))
}

// parse reads what String wrote and nothing else: each hash has one form.
func parse(s string) (encoding, error) {
	fields := strings.Split(s, "$")
	if len(s) > 256 || len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return encoding{}, ErrEncoding
	}
	var e encoding
	parameters := strings.Split(fields[3], ",")
	if len(parameters) != 3 {
		return encoding{}, ErrEncoding
	}
	var numbers [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(parameters[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return encoding{}, ErrEncoding
		}
		numbers[i] = n
	}
	if numbers[2] > maxThreads {
		return encoding{}, ErrEncoding
	}
	e.cost = cost{uint32(numbers[0]), uint32(numbers[1]), uint8(numbers[2])}
	b64 := base64.RawStdEncoding.Strict()
	var err1, err2 error
	e.salt, err1 = b64.DecodeString(fields[4])
	e.key, err2 = b64.DecodeString(fields[5])
	if err1 != nil || err2 != nil || len(e.salt) != saltSize || len(e.key) != keySize || !e.cost.inBounds() || e.String() != s {
		return encoding{}, ErrEncoding
	}
	return e, nil
}
