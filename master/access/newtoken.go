package access

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
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
