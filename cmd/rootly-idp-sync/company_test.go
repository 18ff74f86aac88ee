package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A company is the simulator in a process of its own, so that its memory and its garbage are not the program's.
type company struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	ends  sim.Endpoints
	sizes sizes
}

// sizes are those of the company: each team has members people.
type sizes struct{ people, teams, members int }

// traffic is what the simulator was asked since the last such question.
type traffic struct {
	Directory, Read, Write                            int
	AnsweringDirectory, AnsweringRead, AnsweringWrite time.Duration
}

// companyCommand is the name of this test binary as the simulator.
const companyCommand = "simulated-company"

func startCompany(t *testing.T, s sizes, latency time.Duration) *company {
	t.Helper()
	c := &company{t: t, sizes: s}
	c.cmd = exec.CommandContext(t.Context(), companyCommand,
		fmt.Sprint("-people=", s.people), fmt.Sprint("-teams=", s.teams), fmt.Sprint("-members=", s.members), fmt.Sprint("-latency=", latency))
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if err := c.cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the simulated company ended with %v", err)
		}
	})
	c.hear(&c.ends)
	return c
}

// ask sends the company a word and reads its answer.
func (c *company) ask(word string, answer any) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, word); err != nil {
		c.t.Fatal(err)
	}
	c.hear(answer)
}

func (c *company) hear(answer any) {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the simulated company says nothing: %v", c.out.Err())
	}
	if err := json.Unmarshal(c.out.Bytes(), answer); err != nil {
		c.t.Fatal(err)
	}
}

// traffic is what both servers were asked since the last call.
func (c *company) traffic() (seen traffic) {
	c.t.Helper()
	c.ask("traffic", &seen)
	return seen
}

// A churn is what one hundredth of a company does between two cycles.
type churn struct {
	Joined, Left, Renamed int
	Teams, Moves          int // how many teams change, and the memberships that come and go in them
}

// serveCompany is the process of a company. It answers each word on standard input with a line of JSON, and ends with it.
func serveCompany() {
	var s sizes
	flags := flag.NewFlagSet(companyCommand, flag.ExitOnError)
	flags.IntVar(&s.people, "people", 0, "")
	flags.IntVar(&s.teams, "teams", 0, "")
	flags.IntVar(&s.members, "members", 0, "")
	latency := flags.Duration("latency", 0, "")
	_ = flags.Parse(os.Args[1:]) // ends the process by itself
	if err := playCompany(s, *latency); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func playCompany(s sizes, latency time.Duration) (err error) {
	world, err := foundCompany(s)
	if err != nil {
		return err
	}
	world.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(latency)})
	ends, err := world.Start()
	if err != nil {
		return err
	}
	defer func() {
		if closed := world.Close(); err == nil {
			err = closed
		}
	}()
	say := json.NewEncoder(os.Stdout)
	if err := say.Encode(ends); err != nil {
		return err
	}
	for words := bufio.NewScanner(os.Stdin); words.Scan(); {
		var answer any
		switch words.Text() {
		case "traffic":
			answer = trafficOf(world.Log)
		case "change":
			answer, err = changeCompany(world.Company, s)
		default:
			err = fmt.Errorf("the company does not know the word %q", words.Text())
		}
		if err == nil {
			err = say.Encode(answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// foundCompany founds a company all of whose people are active and assigned, with teams that each person is in a few of.
func foundCompany(s sizes) (*sim.Sim, error) {
	world := sim.New(sim.Config{
		Seed: 1, People: s.people, Groups: -1, LogLimit: 1, SCIM: sim.RootlyLike(),
		Okta: sim.OktaOptions{RateLimit: 1 << 30}, // it is not Okta's pace that is measured
	})
	people := world.Company.People()
	for _, p := range people {
		if err := world.Company.SetStatus(p.Login, sim.StatusActive); err != nil {
			return nil, err
		}
		if err := world.Company.Assign(p.Login); err != nil {
			return nil, err
		}
	}
	for i := range s.teams {
		g := sim.Group{Name: teamName(i)}
		for m := range s.members {
			g.Members = append(g.Members, people[(i*s.members+m)%len(people)].Login)
		}
		if _, err := world.Company.CreateGroup(g); err != nil {
			return nil, err
		}
	}
	return world, nil
}

func teamName(i int) string { return fmt.Sprintf("team-%05d", i) }

func trafficOf(l *sim.Log) traffic {
	seen := traffic{Directory: l.Count("", "/api/v1/"), Write: l.CountWrites()}
	seen.Read = l.Count("", sim.SCIMBase) - seen.Write
	seen.AnsweringDirectory, _ = l.Answering(sim.SideOkta)
	seen.AnsweringRead, seen.AnsweringWrite = l.Answering(sim.SideSCIM)
	l.Reset()
	return seen
}

// changeCompany changes one person of a hundred and one membership of a hundred, the latter in one team of a hundred.
func changeCompany(c *sim.Company, s sizes) (churn, error) {
	people := c.People()
	share := max(10, s.people/100)
	done := churn{Joined: share * 3 / 10, Left: share / 10, Teams: max(1, s.teams/100)}
	done.Renamed = share - done.Joined - done.Left
	done.Moves = done.Teams * s.members
	// The teams of the front change, and people of the back: nobody does two things at once.
	for i := range done.Teams {
		in, out := people[len(people)/2+i*s.members/2:], people[i*s.members:]
		for m := range s.members / 2 {
			if err := c.RemoveMember(teamName(i), out[m].Login); err != nil {
				return churn{}, err
			}
			if err := c.AddMember(teamName(i), in[m].Login); err != nil {
				return churn{}, err
			}
		}
	}
	back := people[len(people)-done.Left-done.Renamed:]
	for i, p := range back {
		err := error(nil)
		if i < done.Left {
			err = c.Leave(p.Login)
		} else {
			err = c.EditPerson(p.Login, func(p *sim.Person) { p.LastName += "-Lund" })
		}
		if err != nil {
			return churn{}, err
		}
	}
	for range done.Joined {
		if _, err := c.Join(sim.Person{Direct: true}); err != nil {
			return churn{}, err
		}
	}
	return done, nil
}

// pushedTeams is the pattern of their names.
const pushedTeams = "team-*"
