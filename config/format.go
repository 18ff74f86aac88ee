package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// parse reads a file of any of the formats into YAML nodes, which keep what a map loses: repeated keys, lines, and how
// a scalar was written. TOML comes without lines. An empty file is an empty mapping.
func parse(name string, data []byte) (*yaml.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".yaml", ".yml":
		return parseYAML(data)
	case ".json":
		return parseJSON(data)
	case ".toml":
		return parseTOML(data)
	default:
		return nil, fmt.Errorf("the ending %q says no format; name the file .yaml, .toml or .json", ext)
	}
}

func parseYAML(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	case err != nil && strings.Contains(err.Error(), "unknown anchor"):
		// The library's text quotes the value, which may be a secret.
		return nil, errors.New("a value that starts with * is an alias in YAML; put it in quotes")
	case err != nil:
		return nil, err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document; keep one and remove the --- lines")
	}
	root := doc.Content[0]
	if root.ShortTag() == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	return root, nil
}

func parseTOML(data []byte) (*yaml.Node, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := e.Position()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	var root yaml.Node
	if err := root.Encode(tree); err != nil {
		return nil, err
	}
	return &root, nil
}

// parseJSON does not lean on YAML being a superset of JSON: the YAML library refuses the surrogate pairs that many
// JSON writers escape emoji with.
func parseJSON(data []byte) (*yaml.Node, error) {
	if err := json.Unmarshal(data, new(any)); err != nil {
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("line %d: %w", lineAt(data, e.Offset), err)
		}
		return nil, err
	}
	d := jsonDocument{Decoder: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	d.UseNumber()
	return d.node()
}

// A jsonDocument counts lines as it is read, once, so that a file that was named by mistake ends in a message whatever its
// size.
type jsonDocument struct {
	*json.Decoder
	data    []byte
	counted int64
	line    int
}

// here is the line up to which the document was read.
func (d *jsonDocument) here() int {
	at := d.InputOffset()
	d.line += bytes.Count(d.data[d.counted:at], []byte("\n"))
	d.counted = at
	return d.line
}

// node reads the next value, which is known to be valid.
func (d *jsonDocument) node() (*yaml.Node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: d.here()}
	switch v := tok.(type) {
	case json.Delim:
		n.Kind = yaml.MappingNode
		if v == '[' {
			n.Kind = yaml.SequenceNode
		}
		for d.More() {
			child, err := d.node()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = d.Token() // the closing bracket
		return n, err
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(v)
	case nil:
		n.Tag = "!!null"
	}
	return n, nil
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}
