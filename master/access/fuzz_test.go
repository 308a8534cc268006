package access_test

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/master/access"
)

// Whatever the file holds, reading it ends, and what is accepted keeps the bounds.
func FuzzParseTokens(f *testing.F) {
	f.Add([]byte(tokens()))
	f.Add([]byte("tokens: []"))
	f.Add([]byte("tokens:\n- &a {name: x, sha256: " + strings.Repeat("0", 64) + ", role: viewer, clusters: [a]}\n- *a\n"))
	f.Add([]byte("tokens: &t [*t]"))
	f.Add([]byte("a: &a [x,x]\nb: &b [*a,*a]\ntokens: [*b,*b]"))
	f.Add([]byte("tokens:\n- <<: {name: x}\n"))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := access.ParseTokens(data)
		if err != nil {
			return
		}
		names := make(map[string]bool)
		for _, c := range set.Callers() {
			if err := access.ValidateName(c.Name); err != nil || names[c.Name] {
				t.Errorf("caller %q: %v, seen %v", c.Name, err, names[c.Name])
			}
			names[c.Name] = true
			if !c.Role.Covers(access.Viewer) || len(c.Clusters.Globs()) == 0 {
				t.Errorf("caller %q has role %v in %q", c.Name, c.Role, c.Clusters.Globs())
			}
		}
	})
}

func FuzzParseClaims(f *testing.F) {
	f.Add([]byte(rights))
	f.Add([]byte("grants: []\nname: &a [*a]"))
	f.Add([]byte("grants: [{value: a, role: viewer, clusters: [a]}]\nroles: {a: b}"))
	f.Add([]byte("grants: {}\nname: ~"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if claims, err := access.ParseClaims(data); (claims == nil) == (err == nil) {
			t.Errorf("%v, %v", claims, err)
		}
	})
}
