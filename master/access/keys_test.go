package access

import (
	"strings"
	"testing"
)

const ecKey = `{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"%s}`

func ecWith(more string) string { return strings.Replace(ecKey, "%s", more, 1) }

// Of a key set (the first key is that of RFC 7517, A.1) only what verifies signatures is
// taken; secrets and private keys, which should not be there, do not count.
func TestParseKeys(t *testing.T) {
	t.Parallel()
	small := `{"kty":"RSA","kid":"2","e":"AQAB","n":"` + strings.Repeat("w", 171) + `"}` // 1,024 bits
	for what, c := range map[string]struct {
		keys string
		want int
	}{
		"one":             {ecWith(""), 1},
		"for signatures":  {ecWith(`,"use":"sig"`), 1},
		"for encryption":  {ecWith(`,"use":"enc"`), 0},
		"private":         {ecWith(`,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"`), 0},
		"symmetric":       {`{"kty":"oct","kid":"1","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}`, 0},
		"small":           {small, 0},
		"of the future":   {`{"kty":"PQ","kid":"1"}`, 0},
		"beside a good":   {`{"kty":"PQ"},7,` + ecWith("") + `,{"kty":"oct","k":"AyM1"}`, 1},
		"not on a curve":  {strings.Replace(ecWith(""), "MKBC", "MKBD", 1), 0},
		"more than a few": {strings.Repeat(ecWith("")+",", maxKeys) + ecWith(""), 0},
	} {
		set, err := parseKeys([]byte(`{"keys":[` + c.keys + `]}`))
		if c.want == 0 && err == nil || c.want > 0 && (err != nil || len(set.keys) != c.want) {
			t.Errorf("%s: %v, %v, want %d keys", what, set, err, c.want)
		}
	}
	for _, text := range []string{"", "{}", "[]", `{"keys":{}}`, `{"keys":null}`} {
		if _, err := parseKeys([]byte(text)); err == nil {
			t.Errorf("%s is a key set", text)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[` + ecWith("") + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","e":"AQAB","n":"AA"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeys(data)
		if err != nil {
			return
		}
		for i := range set.keys {
			if key := &set.keys[i]; !key.IsPublic() || !key.Valid() {
				t.Errorf("key %+v is no public one", key)
			}
		}
	})
}
