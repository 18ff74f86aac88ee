package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxSize is far beyond a directory of a million people, and short of what would exhaust the memory.
const maxSize = 256 << 20

// maxProblems is how many errors of one file are listed; the rest is counted.
const maxProblems = 20

// problems collects what is wrong with one file, by line.
type problems struct {
	path string
	errs []error
	more int
}

// add notes a problem; line 0 means the file as a whole.
func (p *problems) add(line int, format string, args ...any) {
	if len(p.errs) == maxProblems {
		p.more++
		return
	}
	err := fmt.Errorf(format, args...)
	if line > 0 {
		p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", p.path, line, err))
		return
	}
	p.errs = append(p.errs, fmt.Errorf("%s: %w", p.path, err))
}

func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.errs[:len(p.errs):len(p.errs)], fmt.Errorf("%s: and %d more problems", p.path, p.more))...)
	}
	return errors.Join(p.errs...)
}

// readFile returns a file's text as UTF-8. A file that changed while it was read is read once more.
func (c *Connector) readFile(path string) ([]byte, error) {
	dir, base := c.dir(filepath.Dir(path)), filepath.Base(path)
	raw, same, err := readOnce(dir, base)
	if err == nil && !same {
		raw, same, err = readOnce(dir, base)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case !same:
		return nil, fmt.Errorf("%s changed while it was read: write to another name and rename it into place", path)
	}
	text, err := toUTF8(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s is empty: a directory of nobody is never right", path)
	}
	return text, nil
}

// readOnce also tells whether size and time of change were the same before and after.
func readOnce(dir fs.FS, name string) (raw []byte, same bool, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if before.IsDir() {
		return nil, false, errors.New("is a directory")
	}
	raw, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, false, err
	}
	if len(raw) > maxSize {
		return nil, false, fmt.Errorf("larger than %d MB", maxSize>>20)
	}
	// By name, for an export may put another file in its place.
	after, err := fs.Stat(dir, name)
	if err != nil {
		return nil, false, err
	}
	same = before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()) && after.Size() == int64(len(raw))
	return raw, same, nil
}

// toUTF8 follows the byte order mark: UTF-8 with or without one, and UTF-16 as Excel's "Unicode text" has it.
func toUTF8(raw []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(raw, []byte{0xef, 0xbb, 0xbf}):
		raw = raw[3:]
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		return fromUTF16(raw[2:], binary.LittleEndian)
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		return fromUTF16(raw[2:], binary.BigEndian)
	}
	for rest, line := raw, 1; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, fmt.Errorf("line %d: invalid UTF-8 (save the file as \"CSV UTF-8\")", line)
		case r == 0:
			return nil, fmt.Errorf("line %d: a NUL byte (the file is damaged, or UTF-16 without byte order mark: save it as UTF-8)", line)
		case r == '\n':
			line++
		}
		rest = rest[size:]
	}
	return raw, nil
}

func fromUTF16(raw []byte, order binary.ByteOrder) ([]byte, error) {
	if len(raw)%2 != 0 {
		return nil, errors.New("UTF-16 with an odd number of bytes: the file is cut")
	}
	text := make([]byte, 0, len(raw)/2)
	line := 1
	for i := 0; i < len(raw); i += 2 {
		r := rune(order.Uint16(raw[i:]))
		if utf16.IsSurrogate(r) {
			second := rune(0)
			if i+4 <= len(raw) {
				second = rune(order.Uint16(raw[i+2:]))
			}
			if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
				return nil, fmt.Errorf("line %d: invalid UTF-16", line)
			}
			i += 2
		}
		if r == 0 {
			return nil, fmt.Errorf("line %d: a NUL character (the file is damaged)", line)
		}
		if r == '\n' {
			line++
		}
		text = utf8.AppendRune(text, r)
	}
	return text, nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	n := len(s) - len(suffix)
	if n < 0 || !strings.EqualFold(s[n:], suffix) {
		return s, false
	}
	return s[:n], true
}
