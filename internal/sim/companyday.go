package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NextDay lets a working day pass and says in a line each what happened: somebody joins, leaves, is suspended, is
// renamed, moves from one on-call group to another and gets another address. It is the same for the same company;
// what a company is too small for does not happen.
func (c *Company) NextDay() []string {
	c.mu.Lock()
	c.day++
	c.now = c.now.Truncate(24*time.Hour).AddDate(0, 0, 1).Add(9 * time.Hour)
	day := c.day
	c.mu.Unlock()

	d := &workday{company: c, day: day, touched: map[string]bool{}}
	for _, g := range c.Groups() {
		if strings.HasPrefix(g.Name, "oncall-") {
			d.oncall = append(d.oncall, g.Name)
		}
	}
	d.join()
	d.leave()
	d.suspend()
	d.rename()
	d.move()
	d.changeEmail()
	d.promote()
	return d.told
}

// RoleGroup is the name of a group whose members have more rights in Rootly. A company that was given one promotes
// somebody each day.
const RoleGroup = "incident-admins"

// A workday hands out each person for one event only.
type workday struct {
	company *Company
	day     int
	oncall  []string
	touched map[string]bool
	told    []string
}

// rota is the n-th on-call group, or "" in a company without any.
func (d *workday) rota(n int) string {
	if len(d.oncall) == 0 {
		return ""
	}
	return d.oncall[n%len(d.oncall)]
}

// pick takes an active, assigned person whom nothing has happened to today: in the one group and not in the other,
// where "" stands for no condition.
func (d *workday) pick(in, notIn string) (Person, bool) {
	people := d.company.People()
	members, _ := d.company.GroupByName(in)
	others, _ := d.company.GroupByName(notIn)
	for i := range people {
		p := people[(i+17*d.day)%len(people)]
		if p.Status != StatusActive || !p.Assigned || d.touched[p.ID] ||
			in != "" && !slices.Contains(members.Members, p.Login) || slices.Contains(others.Members, p.Login) {
			continue
		}
		d.touched[p.ID] = true
		return p, true
	}
	return Person{}, false
}

// tell notes what happened, if it did.
func (d *workday) tell(err error, format string, args ...any) {
	if err == nil {
		d.told = append(d.told, fmt.Sprintf(format, args...))
	}
}

func (d *workday) join() {
	if rota := d.rota(0); rota != "" {
		p, err := d.company.Join(Person{Direct: true}, rota)
		d.touched[p.ID] = true
		d.tell(err, "%s %s (%s) joins the company and %s", p.FirstName, p.LastName, p.Login, rota)
		return
	}
	p, err := d.company.Join(Person{Direct: true})
	d.touched[p.ID] = true
	d.tell(err, "%s %s (%s) joins the company", p.FirstName, p.LastName, p.Login)
}

func (d *workday) leave() {
	if p, ok := d.pick(d.rota(0), ""); ok {
		d.tell(d.company.Leave(p.Login), "%s leaves the company", p.Login)
	}
}

func (d *workday) suspend() {
	if p, ok := d.pick(d.rota(1), ""); ok {
		d.tell(d.company.Suspend(p.Login), "%s is suspended", p.Login)
	}
}

func (d *workday) rename() {
	if p, ok := d.pick("", ""); ok {
		last := p.LastName + "-Lund"
		d.tell(d.company.Rename(p.Login, p.FirstName, last), "%s is now called %s %s", p.Login, p.FirstName, last)
	}
}

func (d *workday) move() {
	from, to := d.rota(0), d.rota(1)
	if from == to {
		return
	}
	if p, ok := d.pick(from, to); ok {
		err := errors.Join(d.company.RemoveMember(from, p.Login), d.company.AddMember(to, p.Login))
		d.tell(err, "%s moves from %s to %s", p.Login, from, to)
	}
}

func (d *workday) promote() {
	if _, ok := d.company.GroupByName(RoleGroup); !ok {
		return
	}
	if p, ok := d.pick("", RoleGroup); ok {
		d.tell(d.company.AddMember(RoleGroup, p.Login), "%s is made one of the %s", p.Login, RoleGroup)
	}
}

func (d *workday) changeEmail() {
	if p, ok := d.pick("", ""); ok {
		local, _, _ := strings.Cut(p.Login, "@")
		email := fmt.Sprintf("%s.x%d@%s", local, d.day, Domain)
		d.tell(d.company.ChangeEmail(p.Login, email), "%s gets the address %s", p.Login, email)
	}
}
