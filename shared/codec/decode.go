package codec

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Decode reads one msgpack value into v by its json tags. Fields that v does not
// have are skipped, so that an older reader understands a newer writer. Input
// that is truncated, nested deeper than 32 levels, claims lengths it does not
// have, holds extension or binary types or map keys that are no strings, or has
// trailing bytes is an error, found before anything is allocated for it.
func Decode(data []byte, v any) (err error) {
	if err := check(data); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	dec := msgpack.NewDecoder(bytes.NewReader(data))
	dec.SetCustomStructTag("json")
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
