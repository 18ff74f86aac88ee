package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const head = `# Third-party licences

Every module that a released binary links, with its licence, and below the table the text of each. Written by
` + "`make licences UPDATE=1`" + `; ` + "`make licences`" + ` fails when it is not what go.mod comes to, or when a licence is none of
%s.

All modules are linked as they are published: the source of each is the module of that name at that version.

| Module | Version | Licence | Texts |
|---|---|---|---|
`

// render writes the list, and each text once.
func render(modules []module) ([]byte, error) {
	var table, texts bytes.Buffer
	numbers := map[string]int{}
	fmt.Fprintf(&table, head, strings.Join(agreed, ", "))
	for _, m := range modules {
		var licences, refs []string
		for _, t := range m.texts {
			n, known := numbers[t.body]
			if !known {
				n = len(numbers) + 1
				numbers[t.body] = n
				if strings.Contains(t.body, fence) {
					return nil, fmt.Errorf("%s: %s holds a line of tildes, which would end the block that it stands in", m.path, t.name)
				}
				fmt.Fprintf(&texts, "\n## %d\n\n%s\n%s\n%s\n", n, fence, t.body, fence)
			}
			licences = append(licences, t.licences...)
			if ref := fmt.Sprintf("[%d](#%d)", n, n); !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
		slices.Sort(licences)
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", m.path, m.version, strings.Join(slices.Compact(licences), ", "), strings.Join(refs, " "))
	}
	return append(table.Bytes(), texts.Bytes()...), nil
}

const fence = "~~~~"
