package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAnObjectHoldsNoNameTwice(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,{"b":2}],"c":null}`: "",
		`{}`:                         "",
		`null`:                       "",
		`{"a":{"b":1,"b":2}}`:        "", // what is inside is somebody else's to read
		`{"a":[1,2],"a":[3]}`:        `"a" comes twice`,
		`{"users":[1],"Users":[]}`:   `"Users" comes twice`,
		`{"users":[1],"uſers":[]}`:   `"uſers" comes twice`, // encoding/json takes the long s and the sign of the kelvin for letters
		`{"k":[1],"\u212a":[]}`:      "comes twice",
		`[]`:                         "[ is no object",
		`5`:                          "5 is no object",
		`{"a":`:                      "unexpected end of JSON input",
	} {
		var o Object
		err := json.Unmarshal([]byte(text), &o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s gives the error %v, want %q", text, err, want)
		}
		if (o != nil) != (err == nil && text != "null") && want == "" {
			t.Errorf("%s decodes as %v", text, o)
		}
	}
	var o Object
	if err := json.Unmarshal([]byte(`{"a":[1,{"b":2}],"c":null}`), &o); err != nil || len(o) != 2 || string(o["a"]) != `[1,{"b":2}]` || string(o["c"]) != "null" {
		t.Errorf("%v, %v", o, err)
	}
}
