package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Domain is where everybody in the company has their login and address.
const Domain = "acme.example"

// A Status is an Okta user status.
type Status string

// The statuses that Okta documents.
const (
	StatusActive          Status = "ACTIVE"
	StatusDeprovisioned   Status = "DEPROVISIONED"
	StatusLockedOut       Status = "LOCKED_OUT"
	StatusPasswordExpired Status = "PASSWORD_EXPIRED"
	StatusProvisioned     Status = "PROVISIONED"
	StatusRecovery        Status = "RECOVERY"
	StatusStaged          Status = "STAGED"
	StatusSuspended       Status = "SUSPENDED"
)

// A Person is one employee. Absent attributes are "".
type Person struct {
	ID             string
	Login          string
	Email          string
	FirstName      string
	LastName       string
	DisplayName    string
	NickName       string
	Title          string
	Department     string
	MobilePhone    string
	EmployeeNumber string
	Status         Status
	Direct         bool // assigned to the app by name; a group may assign them as well
	Assigned       bool // assigned to the app in either way
	Created        time.Time
	Activated      time.Time // zero while staged
	StatusChanged  time.Time
	LastUpdated    time.Time
}

// A Group is one of the directory's groups.
type Group struct {
	ID                string
	Name              string
	Description       string
	Type              string   // OKTA_GROUP, APP_GROUP or BUILT_IN
	Rule              bool     // filled by a group rule: Okta leaves deactivated people in it
	Assigned          bool     // assigned to the app, and with it its members
	Members           []string // logins
	Created           time.Time
	LastUpdated       time.Time
	MembershipUpdated time.Time
}

// person is the company's own record: its place in Company.people never changes, so that a page can go on behind it.
type person struct {
	Person
	seq int
	via int // how many assigned groups the person is in
}

type group struct {
	Group
	seq     int
	members []int // places in Company.people, ascending
}

// A Company is one directory: its people, its groups and the app "Rootly" they are assigned to. The same seed and
// sizes give the same company, ids and times included. It is safe for concurrent use.
type Company struct {
	mu      sync.RWMutex
	rng     *rand.Rand
	now     time.Time // the company's own clock; every edit moves it a second on
	day     int
	founded time.Time
	appID   string
	people  []*person // nil where somebody was deleted
	groups  []*group  // nil where a group was deleted
	all     *group    // Everyone, the group that every Okta org has
	byLogin map[string]*person
	byID    map[string]*person
	named   map[string]*group // of several groups with one name the newest
	groupID map[string]*group
	bin     []*person // whom Delete removed, for directories that have a recycle bin
}

// NewCompany founds the company that cfg's Seed, People and Groups describe. Everyone, the group that every Okta org
// has, comes on top of Groups.
func NewCompany(cfg Config) *Company {
	c := &Company{
		rng:     rand.New(rand.NewPCG(cfg.Seed, 0x61636d65)),
		now:     time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC),
		byLogin: map[string]*person{},
		byID:    map[string]*person{},
		named:   map[string]*group{},
		groupID: map[string]*group{},
	}
	c.founded = c.now
	c.appID = c.newID("0oa")
	c.all = c.addGroup(Group{Name: "Everyone", Type: "BUILT_IN", Description: "All users in your organization"})
	for i := range size(cfg.People, 300) {
		p := c.hire(Person{})
		c.setStatus(p, seededStatus(i))
		p.Direct = c.rng.IntN(10) < 6
	}
	pools := c.pools()
	for i := range size(cfg.Groups, 25) {
		c.formGroup(groupName(i), pools)
	}
	return c
}

// size reads a configured size: 0 is the default, negative is none.
func size(n, unset int) int {
	if n == 0 {
		return unset
	}
	return max(n, 0)
}

// seededStatus spreads the rarer statuses so that a company of the default size has a few of each.
func seededStatus(i int) Status {
	switch {
	case i%50 == 7:
		return StatusLockedOut
	case i%50 == 19:
		return StatusPasswordExpired
	case i%100 == 31:
		return StatusSuspended
	case i%100 == 53:
		return StatusStaged
	case i%100 == 71:
		return StatusProvisioned
	}
	return StatusActive
}

// pools are the people whom a group may be formed of, by department in lower case; "" is everybody.
func (c *Company) pools() map[string][]int {
	pools := map[string][]int{}
	for _, p := range c.people {
		pools[""] = append(pools[""], p.seq)
		dept := strings.ToLower(p.Department)
		pools[dept] = append(pools[dept], p.seq)
		if dept == "engineering" || dept == "sre" {
			pools["technical"] = append(pools["technical"], p.seq)
		}
	}
	return pools
}

func (c *Company) formGroup(name string, pools map[string][]int) {
	g := c.addGroup(Group{Name: name, Type: "OKTA_GROUP", Rule: name == "all-hands"})
	pool, n := pools[""], 4+c.rng.IntN(12)
	switch {
	case name == "all-hands":
		n = len(pool)
	case strings.HasPrefix(name, "oncall-"):
		pool, n = pools["technical"], 5+c.rng.IntN(5)
		g.Assigned = true
	case strings.HasPrefix(name, "eng-"):
		pool = pools["technical"]
		n = len(pool) / 6
		g.Assigned = true
	case pools[name] != nil:
		pool = pools[name]
		n = len(pool)
	}
	for _, seq := range sample(c.rng, pool, n) {
		c.addMember(g, c.people[seq])
	}
}

// sample draws n different elements, ascending.
func sample(rng *rand.Rand, from []int, n int) []int {
	if n >= len(from) {
		return from
	}
	drawn := map[int]bool{}
	for len(drawn) < n {
		drawn[from[rng.IntN(len(from))]] = true
	}
	out := make([]int, 0, n)
	for seq := range drawn {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

// newID makes an id of Okta's form: a prefix for the kind and 17 letters and digits.
func (c *Company) newID(prefix string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	id := []byte(prefix + "00000000000000000")
	for i := len(prefix); i < len(id); i++ {
		id[i] = alphabet[c.rng.IntN(len(alphabet))]
	}
	return string(id)
}

// hire adds a person and makes up what p leaves empty. The caller holds the lock.
func (c *Company) hire(p Person) *person {
	given, family := givenNames[c.rng.IntN(len(givenNames))], familyNames[c.rng.IntN(len(familyNames))]
	if p.FirstName == "" && p.LastName == "" {
		p.FirstName, p.LastName = given.written, family.written
	}
	if p.Login == "" {
		p.Login = c.freeLogin(given.ascii + "." + family.ascii)
	}
	if p.Email == "" {
		p.Email = p.Login
	}
	if p.Department == "" {
		p.Department, p.Title = c.post()
		p.MobilePhone = mobilePhone(c.rng)
		if c.rng.IntN(12) == 0 {
			p.NickName = nickNames[c.rng.IntN(len(nickNames))]
		}
	}
	if p.Status == "" {
		p.Status = StatusActive
	}
	p.ID = c.newID("00u")
	p.EmployeeNumber = fmt.Sprintf("%06d", 1000+len(c.people))
	p.Created, p.Activated, p.StatusChanged, p.LastUpdated = c.now, c.now, c.now, c.now
	if p.Status == StatusStaged {
		p.Activated = time.Time{}
	}
	kept := &person{Person: p, seq: len(c.people)}
	c.people = append(c.people, kept)
	c.byLogin[strings.ToLower(p.Login)] = kept
	c.byID[p.ID] = kept
	c.addMember(c.all, kept)
	return kept
}

func (c *Company) freeLogin(local string) string {
	login := local + "@" + Domain
	for n := len(c.people); c.byLogin[login] != nil; n++ {
		login = fmt.Sprintf("%s%d@%s", local, n, Domain)
	}
	return login
}

func (c *Company) post() (dept, title string) {
	n := c.rng.IntN(100)
	for _, d := range departments {
		if n -= d.weight; n < 0 {
			return d.name, d.titles[c.rng.IntN(len(d.titles))]
		}
	}
	return departments[0].name, departments[0].titles[0]
}

func (c *Company) addGroup(g Group) *group {
	g.ID = c.newID("00g")
	g.Created, g.LastUpdated, g.MembershipUpdated = c.now, c.now, c.now
	kept := &group{Group: g, seq: len(c.groups)}
	c.groups = append(c.groups, kept)
	c.named[g.Name] = kept
	c.groupID[g.ID] = kept
	return kept
}

func (c *Company) addMember(g *group, p *person) {
	i, found := slices.BinarySearch(g.members, p.seq)
	if found {
		return
	}
	g.members = slices.Insert(g.members, i, p.seq)
	g.MembershipUpdated = c.now
	if g.Assigned {
		p.via++
	}
}

func (c *Company) removeMember(g *group, p *person) {
	i, found := slices.BinarySearch(g.members, p.seq)
	if !found {
		return
	}
	g.members = slices.Delete(g.members, i, i+1)
	g.MembershipUpdated = c.now
	if g.Assigned {
		p.via--
	}
}

// assigned reports whether the app's list names p. Okta takes a deactivated person off it.
func (p *person) assigned() bool {
	return p.Status != StatusDeprovisioned && (p.Direct || p.via > 0)
}

func (p *person) view() Person {
	v := p.Person
	v.Assigned = p.assigned()
	return v
}

func (c *Company) view(g *group) Group {
	v := g.Group
	for _, seq := range g.members {
		v.Members = append(v.Members, c.people[seq].Login)
	}
	return v
}

// AppID is the id of the app "Rootly".
func (c *Company) AppID() string { return c.appID }

// People returns everybody, deactivated people too, in the order in which they were hired.
func (c *Company) People() []Person {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []Person
	for _, p := range c.people {
		if p != nil {
			out = append(out, p.view())
		}
	}
	return out
}

// Groups returns the groups that were founded in this company, without the built-in Everyone.
func (c *Company) Groups() []Group {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []Group
	for _, g := range c.groups {
		if g != nil && g != c.all {
			out = append(out, c.view(g))
		}
	}
	return out
}

// PersonByLogin finds a person by login, letter case aside.
func (c *Company) PersonByLogin(login string) (Person, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p := c.byLogin[strings.ToLower(login)]; p != nil {
		return p.view(), true
	}
	return Person{}, false
}

// GroupByName finds a group by its exact name.
func (c *Company) GroupByName(name string) (Group, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if g := c.named[name]; g != nil {
		return c.view(g), true
	}
	return Group{}, false
}
