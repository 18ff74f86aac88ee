package app

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"
)

// decisionFlags are the flags of verbs that record who decided.
func decisionFlags(cmd *cobra.Command, by *string) {
	cmd.Flags().StringVar(by, "by", "", "who decides, for the record (default: your user name on this machine)")
}

// decider is the name that a decision is recorded under.
func decider(by string) (string, error) {
	if by = strings.TrimSpace(by); by != "" {
		return by, nil
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username, nil
	}
	if name := os.Getenv("USER"); name != "" {
		return name, nil
	}
	return "", errors.New("this machine does not say who you are: name who decides with --by")
}

// errDeclined ends a run whose question was answered with anything but yes.
var errDeclined = errors.New("nothing was changed: the answer was not yes")

// agree asks on a terminal. Where nobody can be asked, only --yes agrees.
func (a *app) agree(yes bool, question string) error {
	if yes {
		return nil
	}
	if !terminal(a.In) {
		return errors.New("nobody can be asked here: nothing was changed; look through the list above, then run it again with --yes")
	}
	fmt.Fprintf(a.Err, "%s [yes/no]\n> ", question)
	answer, _ := bufio.NewReader(a.In).ReadString('\n') // no answer is no yes
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
