package codec

import (
	"errors"
	"fmt"
	"strings"
)

// pathError is a value that Encode refuses, and where it stands: "nodes[0].p99Ms".
// The path grows on the way out, so that values without an error cost none.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string {
	path := strings.TrimPrefix(e.path, ".")
	if path == "" {
		path = "value"
	}
	return path + ": " + e.err.Error()
}

func (e *pathError) Unwrap() error { return e.err }

func refuse(format string, args ...any) error {
	return &pathError{err: fmt.Errorf(format, args...)}
}

// within says that err happened inside step, ".name" or "[3]".
func within(err error, step string) error {
	var at *pathError
	if !errors.As(err, &at) {
		at = &pathError{err: err}
	}
	at.path = step + at.path
	return at
}
