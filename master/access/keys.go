package access

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of an issuer's answers.
const (
	maxKeys    = 100
	maxRSABits = 8192 // more only costs time
	minRSABits = 2048
)

// algorithms are those by which a token may be signed: none that is symmetric, so that
// the issuer's public keys are no secrets that sign.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

func algorithmNames() []string {
	var names []string
	for _, a := range algorithms() {
		names = append(names, string(a))
	}
	return names
}

// keySet is what an issuer signs with. It is not changed once it is there.
type keySet struct {
	keys []jose.JSONWebKey
	sum  digest // of the answer
}

// parseKeys reads a JSON Web Key Set (RFC 7517, 5) and leaves out what is not there to
// verify signatures. One without any key for us is an error.
func parseKeys(data []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("key set: %d keys are more than %d", len(set.Keys), maxKeys)
	}
	parsed := &keySet{sum: digestOf(string(data))}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			continue // of a type that is newer than this build
		}
		if isForUs(&key) {
			parsed.keys = append(parsed.keys, key)
		}
	}
	if len(parsed.keys) == 0 {
		return nil, errors.New("key set: holds no public key that verifies signatures")
	}
	return parsed, nil
}

// isForUs tells whether a key verifies signatures.
func isForUs(key *jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok {
		return public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits
	}
	return true
}

// verify returns what a token says if one of the keys signed it; known tells whether
// the set has a key of the name that the token gives.
func (s *keySet) verify(token *jose.JSONWebSignature) (payload []byte, known bool) {
	header := token.Signatures[0].Protected
	for i := range s.keys {
		key := &s.keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		known = known || header.KeyID != ""
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, known
}

// attempt verifies one token, as oidc.KeySet. It keeps what go-oidc would make a text of.
type attempt struct {
	issuer *issuerKeys
	keys   *keySet // that were used
	away   error   // the key is not known, and the issuer cannot be asked
}

var errSignature = errors.New("no key of the issuer signed it")

// VerifySignature implements oidc.KeySet. The issuer is asked for its keys only when
// none has the name that the token gives, and not each time.
func (a *attempt) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		return nil, err
	}
	if a.keys = a.issuer.set.Load(); a.keys != nil {
		payload, known := a.keys.verify(parsed)
		if payload != nil {
			return payload, nil
		}
		if known {
			return nil, errSignature
		}
	}
	if a.keys, err = a.issuer.fetch(ctx); err != nil {
		a.away = err
		return nil, err
	}
	if payload, _ := a.keys.verify(parsed); payload != nil {
		return payload, nil
	}
	return nil, errSignature
}
