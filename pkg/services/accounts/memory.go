package accounts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// defaultRows bounds the memory of a store to a few gigabytes at the worst.
const defaultRows = 1 << 20

// MemoryConfig bounds a Memory. The zero value works.
type MemoryConfig struct {
	// MaxAccounts is the most accounts kept; default 1,048,576. An account takes some 600 bytes, more with sessions and characters.
	MaxAccounts int
	// MaxCharacters is the most characters kept, of all accounts together; default 1,048,576.
	MaxCharacters int
}

// Memory is a Store that forgets everything with its process: for development and for tests.
type Memory struct {
	cfg MemoryConfig

	mu         sync.Mutex
	accounts   map[ID]*row
	keys       map[string]ID // of names
	devices    map[Hash]ID
	characters map[PlayerID]Character
	names      map[string]PlayerID // keys of characters
	sessions   map[Hash]Session
}

// row is an account with what hangs on it.
type row struct {
	account    Account
	characters []PlayerID // the oldest first
	sessions   []Hash     // the oldest first
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxAccounts == 0 {
		cfg.MaxAccounts = defaultRows
	}
	if cfg.MaxCharacters == 0 {
		cfg.MaxCharacters = defaultRows
	}
	if cfg.MaxAccounts < 0 || cfg.MaxCharacters < 0 {
		return nil, fmt.Errorf("accounts: MemoryConfig has MaxAccounts %d and MaxCharacters %d: give 0 for %d, or what the store may hold", cfg.MaxAccounts, cfg.MaxCharacters, defaultRows)
	}
	return &Memory{
		cfg: cfg, accounts: map[ID]*row{}, keys: map[string]ID{}, devices: map[Hash]ID{},
		characters: map[PlayerID]Character{}, names: map[string]PlayerID{}, sessions: map[Hash]Session{},
	}, nil
}

// enter is the beginning of each method; what it returns ends it.
func (m *Memory) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

// CreateAccount implements Store.
func (m *Memory) CreateAccount(ctx context.Context, a Account) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if m.accounts[a.ID] != nil {
		return ErrIDTaken
	}
	if err := m.unique(a); err != nil {
		return err
	}
	if len(m.accounts) >= m.cfg.MaxAccounts {
		return ErrFull
	}
	a.Version = 1
	m.accounts[a.ID] = &row{account: copied(a)}
	m.index(a)
	return nil
}

// unique holds a to the constraints, of which its own row is no violation.
func (m *Memory) unique(a Account) error {
	if id, ok := m.keys[a.Key]; ok && id != a.ID {
		return ErrNameTaken
	}
	if id, ok := m.devices[a.Device]; ok && id != a.ID {
		return ErrDeviceTaken
	}
	return nil
}

func (m *Memory) index(a Account) {
	if a.Key != "" {
		m.keys[a.Key] = a.ID
	}
	if a.Device != (Hash{}) {
		m.devices[a.Device] = a.ID
	}
}

func copied(a Account) Account {
	a.Rights = slices.Clone(a.Rights)
	return a
}

// Account implements Store.
func (m *Memory) Account(ctx context.Context, id ID) (Account, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	return m.account(id)
}

func (m *Memory) account(id ID) (Account, error) {
	if r := m.accounts[id]; r != nil {
		return copied(r.account), nil
	}
	return Account{}, ErrNotFound
}

// AccountByKey implements Store.
func (m *Memory) AccountByKey(ctx context.Context, key string) (Account, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	return m.account(m.keys[key])
}

// AccountByDevice implements Store.
func (m *Memory) AccountByDevice(ctx context.Context, device Hash) (Account, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	return m.account(m.devices[device])
}

// UpdateAccount implements Store.
func (m *Memory) UpdateAccount(ctx context.Context, a Account) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r := m.accounts[a.ID]
	if r == nil {
		return ErrNotFound
	}
	if r.account.Version != a.Version {
		return ErrStale
	}
	if err := m.unique(a); err != nil {
		return err
	}
	delete(m.keys, r.account.Key)
	delete(m.devices, r.account.Device)
	a.Created = r.account.Created
	a.Version++
	r.account = copied(a)
	m.index(a)
	return nil
}

// CreateCharacter implements Store.
func (m *Memory) CreateCharacter(ctx context.Context, c Character, limit int) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r := m.accounts[c.Account]
	if r == nil {
		return ErrNotFound
	}
	if _, taken := m.characters[c.ID]; taken {
		return ErrIDTaken
	}
	if len(r.characters) >= limit {
		return ErrTooMany
	}
	if _, taken := m.names[c.Key]; taken {
		return ErrNameTaken
	}
	if len(m.characters) >= m.cfg.MaxCharacters {
		return ErrFull
	}
	m.characters[c.ID], m.names[c.Key] = c, c.ID
	r.characters = append(r.characters, c.ID)
	return nil
}

// Character implements Store.
func (m *Memory) Character(ctx context.Context, id PlayerID) (Character, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Character{}, err
	}
	defer leave()
	c, ok := m.characters[id]
	if !ok {
		return Character{}, ErrNotFound
	}
	return c, nil
}

// Characters implements Store.
func (m *Memory) Characters(ctx context.Context, account ID) ([]Character, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	r := m.accounts[account]
	if r == nil {
		return nil, nil
	}
	list := make([]Character, 0, len(r.characters))
	for _, id := range r.characters {
		list = append(list, m.characters[id])
	}
	slices.SortFunc(list, func(a, b Character) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// DeleteCharacter implements Store.
func (m *Memory) DeleteCharacter(ctx context.Context, account ID, id PlayerID) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c, ok := m.characters[id]
	if !ok || c.Account != account {
		return ErrNotFound
	}
	delete(m.characters, id)
	delete(m.names, c.Key)
	r := m.accounts[account]
	r.characters = slices.DeleteFunc(r.characters, func(other PlayerID) bool { return other == id })
	for _, hash := range r.sessions {
		if s := m.sessions[hash]; s.Character == id {
			s.Character = 0
			m.sessions[hash] = s
		}
	}
	return nil
}

// CreateSession implements Store.
func (m *Memory) CreateSession(ctx context.Context, s Session, keep int) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r := m.accounts[s.Account]
	if r == nil {
		return ErrNotFound
	}
	if _, taken := m.sessions[s.Hash]; taken {
		return ErrIDTaken
	}
	for len(r.sessions) >= max(keep, 1) {
		m.drop(r.sessions[0])
	}
	m.sessions[s.Hash] = s
	r.sessions = append(r.sessions, s.Hash)
	return nil
}

// drop forgets a session.
func (m *Memory) drop(hash Hash) {
	r := m.accounts[m.sessions[hash].Account]
	r.sessions = slices.DeleteFunc(r.sessions, func(other Hash) bool { return other == hash })
	delete(m.sessions, hash)
}

// Session implements Store.
func (m *Memory) Session(ctx context.Context, hash Hash) (Session, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Session{}, err
	}
	defer leave()
	s, ok := m.sessions[hash]
	if !ok {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// SelectCharacter implements Store.
func (m *Memory) SelectCharacter(ctx context.Context, hash Hash, id PlayerID) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, ok := m.sessions[hash]
	c, exists := m.characters[id]
	if !ok || !exists || c.Account != s.Account {
		return ErrNotFound
	}
	s.Character = id
	m.sessions[hash] = s
	return nil
}

// DeleteSession implements Store.
func (m *Memory) DeleteSession(ctx context.Context, hash Hash) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := m.sessions[hash]; ok {
		m.drop(hash)
	}
	return nil
}

// DeleteExpired implements Store. It looks at every session: a SQL store has an index for it.
func (m *Memory) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	n := 0
	for hash, s := range m.sessions {
		if n >= limit {
			break
		}
		if !s.Expires.After(now) {
			m.drop(hash)
			n++
		}
	}
	return n, nil
}
