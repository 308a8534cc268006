package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file of tokens.
const (
	MaxTokensFile = 4 << 20 // bytes
	MaxTokens     = 10_000  // entries
)

// TokenEntry is one token as it stands in the file, under "tokens".
type TokenEntry struct {
	// Name is who presents the token, as ValidateName takes it; each stands once.
	Name string `yaml:"name"`
	// SHA256 is of the token, 64 hexadecimal digits: the file holds no secret.
	SHA256 string `yaml:"sha256"`
	// Role is viewer or operator.
	Role string `yaml:"role"`
	// Clusters are patterns as ParseClusters takes them.
	Clusters []string `yaml:"clusters,flow"`
	// Expires is when the token ends, RFC 3339; "": never.
	Expires string `yaml:"expires,omitempty"`
}

// tokensFile is the whole file.
type tokensFile struct {
	Tokens []TokenEntry `yaml:"tokens"`
}

type digest = [sha256.Size]byte

// digestOf is the SHA-256 of a token.
func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// TokenSet is what a file of tokens says.
type TokenSet struct {
	callers map[digest]*tokenCaller
	names   []string // in the order of the file
}

// tokenCaller has the digest beside it, to compare it in constant time.
type tokenCaller struct {
	caller *Caller
	digest digest
}

// Callers are those whom the file names, in its order.
func (s *TokenSet) Callers() []*Caller {
	byName := make(map[string]*Caller, len(s.callers))
	for _, t := range s.callers {
		byName[t.caller.Name] = t.caller
	}
	all := make([]*Caller, len(s.names))
	for i, name := range s.names {
		all[i] = byName[name]
	}
	return all
}

// ParseTokens reads a file of tokens: YAML, one document, no field that is not known.
// The error names the line.
func ParseTokens(data []byte) (*TokenSet, error) {
	if len(data) > MaxTokensFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", MaxTokensFile)
	}
	var file tokensFile
	lines, err := decodeYAML(data, &file, "tokens")
	if err != nil {
		return nil, err
	}
	if len(file.Tokens) > MaxTokens {
		return nil, fmt.Errorf("%d tokens are more than %d", len(file.Tokens), MaxTokens)
	}
	set := &TokenSet{callers: make(map[digest]*tokenCaller, len(file.Tokens))}
	named := make(map[string]bool, len(file.Tokens))
	for i, entry := range file.Tokens {
		caller, sum, err := entry.parse()
		switch {
		case err != nil:
		case named[caller.Name]:
			err = errors.New("name: stands twice")
		case set.callers[sum] != nil:
			err = fmt.Errorf("sha256: is that of %s, too", set.callers[sum].caller.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d, token %d %.140q: %w", lines[i], i+1, entry.Name, err)
		}
		named[caller.Name] = true
		set.callers[sum] = &tokenCaller{caller, sum}
		set.names = append(set.names, caller.Name)
	}
	return set, nil
}

func (e TokenEntry) parse() (*Caller, digest, error) {
	var sum digest
	if err := ValidateName(e.Name); err != nil {
		return nil, sum, err
	}
	raw, err := hex.DecodeString(e.SHA256)
	if err != nil || len(raw) != len(sum) {
		return nil, sum, fmt.Errorf("sha256: is not %d hexadecimal digits", 2*len(sum))
	}
	copy(sum[:], raw)
	role, err := ParseRole(e.Role)
	if err != nil {
		return nil, sum, err
	}
	clusters, err := ParseClusters(e.Clusters)
	if err != nil {
		return nil, sum, err
	}
	var expires time.Time
	if e.Expires != "" {
		if expires, err = time.Parse(time.RFC3339, e.Expires); err != nil {
			return nil, sum, fmt.Errorf("expires: %.40q is no RFC 3339 time such as 2027-01-02T15:04:05Z", e.Expires)
		}
	}
	return NewCaller(e.Name, expires, Grant{role, clusters}), sum, nil
}

// decodeYAML decodes one document into v, strictly, and returns the lines on which the
// items of its list begin.
func decodeYAML(data []byte, v any, list string) ([]int, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(v); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the file is empty: it must hold %q", list)
	} else if err != nil {
		return nil, yamlError(err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one YAML document")
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, yamlError(err)
	}
	var lines []int
	found := false
	for _, root := range document.Content {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value != list {
				continue
			}
			found = true
			for _, item := range root.Content[i+1].Content {
				lines = append(lines, item.Line)
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("the file has no %q", list)
	}
	return lines, nil
}

// yamlError says what is wrong without the names of our types.
func yamlError(err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return err
	}
	said := make([]string, 0, len(wrong.Errors))
	for _, text := range wrong.Errors {
		text, _, _ = strings.Cut(text, " in type ")
		text, _, _ = strings.Cut(text, " into ")
		said = append(said, text)
	}
	return fmt.Errorf("yaml: %.400s", strings.Join(said, "; "))
}
