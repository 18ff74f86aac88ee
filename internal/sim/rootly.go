package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// RootlyOptions are the switches of Rootly's REST API. The zero value accepts DefaultRootlyKey.
type RootlyOptions struct {
	APIKey  string           // DefaultRootlyKey if empty
	MaxPage int              // caps page[size]; 0 is 100
	Now     func() time.Time // nil is time.Now
}

// DefaultRootlyKey is the API key of a Rootly whose options name none.
const DefaultRootlyKey = "rootly_sim_api_key"

// Rootly serves what a SCIM server holds as Rootly's REST API, which speaks JSON:API: its accounts as users under numbers
// of their own, and besides them schedules, shifts and escalation policies, which are made by the methods below. Everything
// but alerts is read only. It is safe for concurrent use.
type Rootly struct {
	scim    *SCIM
	options RootlyOptions
	mux     *http.ServeMux

	mu        sync.Mutex
	rng       *rand.Rand
	numbers   map[string]int // SCIM id → user id
	accounts  []string       // SCIM ids by user id, from firstUserID on
	schedules []*rotaSchedule
	policies  []*rotaPolicy
	shifts    []*rotaShift
	alerts    []Alert
}

const firstUserID = 401

type rotaSchedule struct {
	id, name, rotation string
	users              []string // SCIM ids of who takes turns
}

type rotaPolicy struct {
	id, name, path, level string
	schedule              string   // id of the schedule that it pages first
	users                 []string // SCIM ids of who is paged by name
}

type rotaShift struct {
	id, schedule, rotation, user string
	starts, ends                 time.Time
	override                     bool
}

// An Alert is one that a caller has raised.
type Alert struct {
	ID      string
	Source  string
	Summary string
	Body    string // of the request
}

// NewRootly returns the API of the Rootly that the SCIM server belongs to.
func NewRootly(scim *SCIM, seed uint64, o RootlyOptions) *Rootly {
	o.APIKey = cmp.Or(o.APIKey, DefaultRootlyKey)
	o.MaxPage = cmp.Or(o.MaxPage, 100)
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Rootly{scim: scim, options: o, mux: http.NewServeMux(), rng: rand.New(rand.NewPCG(seed, 0x726f6f74)), numbers: map[string]int{}}
	s.routes()
	return s
}

// newID makes a UUID. The caller holds the lock.
func (s *Rootly) newID() string {
	a, b := s.rng.Uint64(), s.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(a>>32), uint16(a>>16), a&0xfff, b>>52, b&0xffffffffffff)
}

// number is the user id of an account. The caller holds the lock.
func (s *Rootly) number(scimID string) int {
	n, known := s.numbers[scimID]
	if !known {
		n = firstUserID + len(s.accounts)
		s.numbers[scimID], s.accounts = n, append(s.accounts, scimID)
	}
	return n
}

// account finds the SCIM id behind a userName.
func (s *Rootly) account(userName string) (string, error) {
	u, ok := s.scim.User(userName)
	if !ok {
		return "", fmt.Errorf("sim: Rootly has no account %s", userName)
	}
	return u.ID, nil
}

func (s *Rootly) allAccounts(userNames []string) ([]string, error) {
	var ids []string
	for _, name := range userNames {
		id, err := s.account(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// AddSchedule makes a schedule with one rotation of these people, who have no shifts by that.
func (s *Rootly) AddSchedule(name string, userNames ...string) error {
	users, err := s.allAccounts(userNames)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedules = append(s.schedules, &rotaSchedule{id: s.newID(), name: name, rotation: s.newID(), users: users})
	return nil
}

// AddPolicy makes an escalation policy that pages a schedule, where one is named, and these people.
func (s *Rootly) AddPolicy(name, schedule string, userNames ...string) error {
	users, err := s.allAccounts(userNames)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &rotaPolicy{id: s.newID(), name: name, path: s.newID(), level: s.newID(), users: users}
	if found := s.scheduleNamed(schedule); found != nil {
		p.schedule = found.id
	}
	s.policies = append(s.policies, p)
	return nil
}

func (s *Rootly) scheduleNamed(name string) *rotaSchedule {
	i := slices.IndexFunc(s.schedules, func(r *rotaSchedule) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return s.schedules[i]
}

// AddShift gives somebody a shift.
func (s *Rootly) AddShift(schedule, userName string, starts, ends time.Time) error {
	user, err := s.account(userName)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.scheduleNamed(schedule)
	if found == nil {
		return fmt.Errorf("sim: Rootly has no schedule %s", schedule)
	}
	s.shifts = append(s.shifts, &rotaShift{
		id: s.newID(), schedule: found.id, rotation: found.rotation, user: user, starts: starts, ends: ends,
	})
	return nil
}

// Cover gives every shift that somebody has in a schedule to somebody else, as overrides do.
func (s *Rootly) Cover(schedule, from, by string) error {
	ids, err := s.allAccounts([]string{from, by})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.scheduleNamed(schedule)
	if found == nil {
		return fmt.Errorf("sim: Rootly has no schedule %s", schedule)
	}
	for _, shift := range s.shifts {
		if shift.schedule == found.id && shift.user == ids[0] {
			shift.user, shift.override = ids[1], true
		}
	}
	return nil
}

// Alerts returns what callers have raised, the oldest first.
func (s *Rootly) Alerts() []Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.alerts)
}

// sameAddress compares e-mail addresses as Rootly looks them up.
func sameAddress(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
