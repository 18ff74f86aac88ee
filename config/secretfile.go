package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"unicode"
)

// secret completes one secret from the one place that gives it: the value itself, the file, or the fallback variable
// when neither is there.
func (l *loader) secret(path string, value *Secret, file, fallback string) {
	switch {
	case !value.IsZero() && file != "":
		l.problem(path, "is given twice, as a value and by "+path+"_file", "keep one of the two")
	case file != "":
		text, err := readSecret(file)
		if err != nil {
			p, _ := errors.AsType[Problem](err)
			l.problem(path+"_file", p.Text, p.Remedy)
			return
		}
		*value = NewSecret(text)
		path += "_file"
	case value.IsZero() && fallback != "":
		if text, _ := l.env(fallback); text != "" {
			*value = NewSecret(text)
			l.origins[path] = origin{env: fallback}
		}
	}
	if token := value.Reveal(); inHeader(path) && strings.ContainsFunc(token, notInToken) {
		remedy := "give the token alone, on one line"
		if strings.HasPrefix(strings.ToLower(token), "bearer ") {
			remedy = "leave the word Bearer out"
		}
		l.problem(path, "holds a character that no token has, such as a space", remedy)
	}
}

// inHeader tells whether the secret at path travels in an Authorization header.
func inHeader(path string) bool {
	path = strings.TrimSuffix(path, "_file")
	return strings.HasSuffix(path, "token") || strings.HasSuffix(path, "api_key")
}

// notInToken tells what cannot stand in an Authorization header after its scheme.
func notInToken(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }

// readSecret reads a secret's file without its trailing newline. The error is a Problem.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", Problem{Text: "names " + path + ", which does not exist", Remedy: "create it, or correct the path (it is relative to the configuration file)"}
	case err != nil:
		return "", Problem{Text: "cannot be looked at: " + err.Error(), Remedy: "let the user that runs the sync read it"}
	case !info.Mode().IsRegular():
		return "", Problem{Text: "names " + path + ", which is no regular file", Remedy: "name the file itself"}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o027 != 0:
		return "", Problem{
			Text:   fmt.Sprintf("names %s, which others may read or change (mode %04o)", path, info.Mode().Perm()),
			Remedy: "chmod 0400 it; for a Kubernetes secret volume set defaultMode: 0440 and an fsGroup",
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", Problem{Text: "cannot be read: " + err.Error(), Remedy: "let the user that runs the sync read it"}
	}
	text := strings.TrimRight(string(data), "\r\n")
	if strings.TrimSpace(text) == "" {
		return "", Problem{Text: "names " + path + ", which is empty", Remedy: "write the secret into it"}
	}
	return text, nil
}
