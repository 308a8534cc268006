package fault

import (
	"regexp"
	"strings"
)

// What texts of drivers, servers and old agents may hold and users must not read. What
// follows the reason of an exception is the statement, or where it failed.
var (
	afterTheReason = regexp.MustCompile(`(?i)[:.,]?\s+(\(?in scope|in query|while (processing|executing)|\(version|stack trace)\b`)
	statements     = regexp.MustCompile(`(?is)\b(SELECT\b.+?\bFROM|INSERT\s+INTO|WITH\s+\S+\s+AS)\b.*`)
	urls           = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://\S+|\S+:\S+@\S+`)
	secrets        = regexp.MustCompile(`(?i)\b(password|passwd|pwd|secret|token|api_?key|authorization)\s*[=:]\s*\S+(\s+\S{16,})?|\bBearer\s+\S+`)
	addresses      = regexp.MustCompile(`\[?[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*\]?(:\d+)?|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\b[A-Za-z0-9][A-Za-z0-9.-]*:\d{2,5}\b`)
	hosts          = regexp.MustCompile(`(?i)\b(host:?|lookup|dial tcp|connect to)\s+['"]?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\.?`)
	users          = regexp.MustCompile("(?i)^\\S+: (authentication failed|not enough privileges)|\\buser\\s+[`'\"][^`'\"]*[`'\"]")
	paths          = regexp.MustCompile(`(^|[\s'"(=])(/[\w.@+-]+){2,}/?`)
)

// Public returns what users may read of a text that was not written for them: without
// statements, addresses, credentials, names of users and paths of files. It is the last
// line of defence: sentences that are ours hold none of these in the first place.
func Public(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if cut := afterTheReason.FindStringIndex(text); cut != nil {
		text = text[:cut[0]]
	}
	text = statements.ReplaceAllString(text, "(statement)")
	text = secrets.ReplaceAllString(text, "(secret)")
	text = urls.ReplaceAllString(text, "(address)")
	text = addresses.ReplaceAllString(text, "(address)")
	text = hosts.ReplaceAllString(text, "$1 (address)")
	text = users.ReplaceAllStringFunc(text, func(match string) string {
		if _, refused, ok := strings.Cut(match, ": "); ok {
			return refused
		}
		return "user (name)"
	})
	return paths.ReplaceAllString(text, "$1(path)")
}
