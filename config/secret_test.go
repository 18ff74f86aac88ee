package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// hidden holds a secret where fmt cannot call its methods.
type hidden struct {
	token  Secret
	behind *Secret
	list   []Secret
	byName map[string]Secret
}

type shown struct {
	Secret Secret
	Behind *Secret
	List   []Secret
	ByName map[string]Secret
	Any    any
}

type secretError struct{ token Secret }

func (e secretError) Error() string { return fmt.Sprintf("refused %v %s", e.token, e.token) }

func TestNoPrintingShowsASecret(t *testing.T) {
	s := NewSecret(canary)
	values := map[string]any{
		"value":   s,
		"pointer": &s,
		"list":    []Secret{s},
		"map":     map[string]Secret{"k": s},
		"key":     map[Secret]int{s: 1},
		"hidden":  hidden{s, &s, []Secret{s}, map[string]Secret{"k": s}},
		"behind":  &hidden{token: s},
		"shown":   shown{s, &s, []Secret{s}, map[string]Secret{"k": s}, s},
		"config":  Config{Target: Target{Token: s}, Source: Source{Okta: &Okta{PrivateKey: s}}},
		"error":   fmt.Errorf("create: %w", errors.Join(secretError{s})),
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
				for _, flags := range []string{"", "+", "#", " ", "0", "-9", ".3", "# "} {
					fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
				}
			}
			fmt.Fprint(&out, v)
			fmt.Fprintln(&out, v)
			for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(h).Info("x", "v", v, slog.Group("g", "v", v))
				slog.New(h).With("v", v).Info("x")
			}
			if data, err := json.Marshal(v); err == nil {
				out.Write(data)
			}
			if name != "key" { // a struct key has no YAML form
				if data, err := yaml.Marshal(v); err == nil {
					out.Write(data)
				}
			}
			// Hexadecimal and quoted forms of the canary would be leaks too.
			for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%d", []byte(canary))} {
				if strings.Contains(out.String(), form) {
					t.Errorf("the secret is printed as %q in:\n%s", form, out.String())
				}
			}
		})
	}
}

func TestSecretPrintsItsMark(t *testing.T) {
	for _, s := range []Secret{NewSecret(canary), {}} {
		data, err := json.Marshal(struct{ S Secret }{s})
		if err != nil || string(data) != `{"S":"[secret]"}` {
			t.Errorf("json: %s, %v", data, err)
		}
		text, err := yaml.Marshal(map[string]Secret{"s": s})
		if err != nil || string(text) != "s: '[secret]'\n" {
			t.Errorf("yaml: %s, %v", text, err)
		}
		if got := fmt.Sprintf("%v %s %q %x %#v %d", s, s, s, s, s, s); got != strings.TrimSpace(strings.Repeat("[secret] ", 6)) {
			t.Errorf("fmt: %s", got)
		}
		if got := s.LogValue().String(); got != "[secret]" {
			t.Errorf("slog: %s", got)
		}
	}
}

func TestSecretReveals(t *testing.T) {
	if got := NewSecret(canary).Reveal(); got != canary {
		t.Errorf("Reveal is %q", got)
	}
	if !NewSecret("").IsZero() || !(Secret{}).IsZero() || NewSecret("x").IsZero() {
		t.Error("IsZero must be true of an empty secret and of no other")
	}
	if (Secret{}).Reveal() != "" {
		t.Error("the zero Secret reveals something")
	}
}
