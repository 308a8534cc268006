package audit

import (
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/shared/ascii"
	"github.com/atlhyper/observe/shared/detail"
)

// form is how a parameter is shown.
type form uint8

const (
	withheld form = iota // what people write, or what is made of it: only that it was given
	plain                // numbers and flags
	name                 // what something is called: shown when it looks like it
	span                 // a time range: both ends
)

// forms says of every parameter of every detail request how it is shown, by its name on
// the wire. What is missing is withheld.
func forms() map[string]form {
	return map[string]form{
		"range":           span,
		"stepSeconds":     plain,
		"intervalSeconds": plain,
		"limit":           plain,
		"offset":          plain,
		"minDurationMs":   plain,
		"maxDurationMs":   plain,
		"hasError":        plain,
		"sort":            name,
		"level":           name,
		"statusCode":      name,
		"method":          name,
		"traceId":         name,
		"spanId":          name,
		"name":            name, // of a node, or of a section
		"metric":          name,
		"service":         name,
		"query":           withheld, // words that are searched for
		"operation":       withheld, // the name of a span, which may be a statement of SQL
		"scope":           withheld,
		"cursor":          withheld,
	}
}

// params are what a line says of a request: the parameters that were given and may be
// shown, and the names of those that were given and may not.
func params(request detail.Request, known map[string]form) (shown []slog.Attr, hidden []string) {
	value := reflect.ValueOf(request)
	for i := range value.NumField() {
		key, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		field := value.Field(i)
		if field.IsZero() {
			continue
		}
		switch known[key] {
		case span:
			if r, ok := field.Interface().(detail.Range); ok {
				shown = append(shown, slog.String("start", instant(r.StartTime())), slog.String("end", instant(r.EndTime())))
				continue
			}
		case plain:
			if field.Kind() == reflect.Pointer {
				field = field.Elem()
			}
			shown = append(shown, slog.Any(key, field.Interface()))
			continue
		case name:
			if text := field.String(); isName(text) {
				shown = append(shown, slog.String(key, text))
				continue
			}
		case withheld:
		}
		hidden = append(hidden, key)
	}
	return shown, hidden
}

func instant(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z07:00") }

// maxName is the longest name that Kubernetes gives, and a namespace before it.
const maxName = 253 + 1 + 63

// isName accepts what services, nodes, metrics and ids are called, and no tokens that
// somebody pasted: ours, and JSON Web Tokens, whose header is an object in base64.
func isName(text string) bool {
	if len(text) > maxName || strings.HasPrefix(text, access.TokenPrefix) || strings.HasPrefix(text, "eyJ") {
		return false
	}
	return ascii.IndexOther(text, "-_.:/") < 0
}
