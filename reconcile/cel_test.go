package reconcile

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
)

// Whatever an expression does with the texts of one person, it ends, and it says why.
func TestExpressionsEnd(t *testing.T) {
	again := func(n int, macro string) string { return "[user.title]" + strings.Repeat(macro, n) + "[0]" }
	const ten = "[0,1,2,3,4,5,6,7,8,9]"
	tests := map[string]struct{ text, want string }{
		"a name put together": {`user.title.split(" ").filter(w, w != "").map(w, w.substring(0, 1).upperAscii() + w.substring(1)).join(" ")`, ""},
		"a replacement":       {`user.title.replace(" ", "").replace("t", "tt", 3)`, ""},
		"macros in macros": {
			strings.Repeat(ten+".map(x, ", 6) + `"x"` + strings.Repeat(")[0]", 6), "too much work",
		},
		"a text that doubles":          {again(30, ".map(x, x + x)"), "too much work"},
		"a text that is joined":        {again(8, ".map(x, [x,x,x,x,x,x,x,x,x,x].join(x))"), "too much work"},
		"a text that is formatted":     {again(8, `.map(x, "%s%s%s%s%s%s%s%s%s%s".format([x,x,x,x,x,x,x,x,x,x]))`), "too much work"},
		"a replacement in itself":      {again(5, `.map(x, x.replace("", x))`), "too much work"},
		"a replacement of replacement": {"user.title" + strings.Repeat(`.replace("", user.title)`, 5), "too much work"},
	}
	env, err := newEnv()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := compile(env, tc.text, cel.StringType)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.string(&Person{Title: "chief of the tea and toast"})
			switch {
			case tc.want == "" && (err != nil || got == ""):
				t.Errorf("got %q, %v", got, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got a text of %d bytes, %v, want %q", len(got), err, tc.want)
			}
		})
	}
}
