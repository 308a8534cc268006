package access

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// TokenPrefix starts every token that NewToken makes, so that scanners of repositories
// and logs find one that got there.
const TokenPrefix = "atlhyper_"

// tokenBytes is how much of a token is random.
const tokenBytes = 32

// NewToken makes a token and fills in what its entry says of it: the digest and, unless
// expires is zero, the end.
func NewToken(entry TokenEntry, expires time.Time) (token string, filled TokenEntry, err error) {
	random := make([]byte, tokenBytes)
	if _, err := rand.Read(random); err != nil { // never: crypto/rand ends the process instead
		return "", TokenEntry{}, fmt.Errorf("random bytes: %w", err)
	}
	token = TokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	sum := digestOf(token)
	entry.SHA256 = hex.EncodeToString(sum[:])
	if !expires.IsZero() {
		entry.Expires = expires.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	if _, _, err := entry.parse(); err != nil {
		return "", TokenEntry{}, err
	}
	return token, entry, nil
}

// YAML is the entry as an item of the list "tokens".
func (e TokenEntry) YAML() ([]byte, error) { return yaml.Marshal([]TokenEntry{e}) }

// AddToken adds an entry to a file of tokens, keeping what stands there, comments too.
// data may be empty. The error names what is wrong with the file or the entry.
func AddToken(data []byte, entry TokenEntry) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("tokens: []\n")
	}
	if _, err := ParseTokens(data); err != nil {
		return nil, err
	}
	var document, added yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, yamlError(err)
	}
	if err := added.Encode(entry); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	root := document.Content[0] // a mapping with tokens: it was read as one
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "tokens" {
			continue
		}
		if list := root.Content[i+1]; list.Kind == yaml.SequenceNode {
			list.Style = 0
			list.Content = append(list.Content, &added)
		} else {
			root.Content[i+1] = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{&added}} // it was null
		}
	}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&document), enc.Close()); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	if _, err := ParseTokens(text.Bytes()); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
