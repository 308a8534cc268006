package admin

import (
	"bytes"
	"testing"
)

func FuzzDecodeLevel(f *testing.F) {
	for _, seed := range []string{`{"level":"debug"}`, `{"level":"WARN"}`, `{"level":"INFO+2"}`, `{}`, ``, `{"level":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		body, err := decodeLevel(bytes.NewReader(text))
		if err != nil {
			return
		}
		switch body.Level.String() {
		case "DEBUG", "INFO", "WARN", "ERROR":
		default:
			t.Errorf("%q is taken for %s", text, body.Level)
		}
	})
}
