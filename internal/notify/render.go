package notify

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	texttemplate "text/template"
)

//go:embed message.html.tmpl
var messageHTML string

//go:embed message.txt.tmpl
var messageText string

var (
	htmlPage = template.Must(template.New("html").Parse(messageHTML))
	textPage = texttemplate.Must(texttemplate.New("text").Funcs(texttemplate.FuncMap{"clock": clock}).Parse(messageText))
)

// Text is the message as plain text.
func (m Message) Text() (string, error) {
	var b strings.Builder
	err := textPage.Execute(&b, m)
	return b.String(), err
}

// HTML is the message as a page for e-mail: styles stand in the elements, and nothing is loaded from anywhere.
func (m Message) HTML() (string, error) {
	var b strings.Builder
	err := htmlPage.Execute(&b, m)
	return b.String(), err
}

// And is what stands for the items that are left out, "" when none are.
func (m Message) And() string {
	if m.More == 0 {
		return ""
	}
	return fmt.Sprintf("and %d more", m.More)
}
