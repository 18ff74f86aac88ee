// Command licences lists the licence of everything that a released binary links, with the texts that have to go with it, and
// fails on a licence that nobody has agreed to. It is no part of the released binary.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
)

// file is what is written, relative to the module's root.
const file = "THIRD_PARTY_LICENSES.md"

// program is what is released. Without build tags it has every directory.
const program = "./cmd/rootly-idp-sync"

// systems are those of a release; some link a module that others do not.
var systems = []string{"linux", "darwin", "windows"}

func main() {
	check := flag.Bool("check", false, "compare with "+file+" and write nothing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	modules, err := linked(program, systems)
	if err != nil {
		return err
	}
	var errs []error
	for i := range modules {
		errs = append(errs, modules[i].read())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	page, err := render(modules)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(file, page, 0o644)
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(committed, page) {
		return fmt.Errorf("%s is not what go.mod comes to: run make licences UPDATE=1 and look at the difference", file)
	}
	fmt.Printf("%d modules, all with licences on the list\n", len(modules))
	return nil
}
