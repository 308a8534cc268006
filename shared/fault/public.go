package fault

import (
	"regexp"
	"strings"
)

// What texts of drivers, servers and old agents may hold and users must not read.
var (
	// What follows the reason of an exception is the statement, or where it failed.
	afterTheReason = regexp.MustCompile(`(?i)[:.,]?\s+(\(?in scope|in query|while (processing|executing)|\(version|stack trace)\b`)
	// One that was cut off before its FROM is a statement, too. What a grant lacks may be
	// read, since somebody must give it: SELECT ON, SELECT(Body) ON otel.otel_logs.
	statements = regexp.MustCompile(`(?is)\b(SELECT\b.+?\bFROM|(?-i:SELECT)\s+([^o\s]|o[^n\s]|on\w).*|INSERT\s+INTO|WITH\s+\S+\s+AS|DELETE\s+FROM|UPDATE\s+\S+\s+SET|` +
		`(ALTER|CREATE|DROP|TRUNCATE|RENAME|OPTIMIZE|ATTACH|DETACH|DESCRIBE|EXISTS)\s+((OR\s+REPLACE|TEMPORARY|MATERIALIZED)\s+)*(TABLE|VIEW|DATABASE|DICTIONARY|USER|ROLE)|` +
		`SHOW\s+(CREATE|TABLES|DATABASES|COLUMNS|GRANTS|USERS)|KILL\s+(QUERY|MUTATION))\b.*`)
	// Names of what is secret, and of who logs in.
	secrets = regexp.MustCompile(`(?i)(\b[\w.-]*(passw(or)?d|passphrase|pwd|secret|token|cookie|credentials?|(api|access|private)[_-]?key|authorization)([_.-]\w+)*|` +
		`\b([\w.-]*[_.-])?(pass|user|user[_-]?name|login))["']?\s*[=:]\s*((Bearer|Basic|Digest|Token|ApiKey)\s+)?("([^"\\]|\\.)*"\S*|'([^'\\]|\\.)*'\S*|\S+)|\bBearer\s+\S+`)
	// Long words after a secret may be the rest of it.
	secretsGoOn = regexp.MustCompile(`\(secret\)(\s+[^\s(]\S{15,})+`)
	urls        = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://\S+|\S+:\S+@\S+`)
	// Names that a certificate is for are a list to the end of the text.
	certificates = regexp.MustCompile(`(?is)\b(certificate is (?:not )?valid for)\s.*`)
	words        = regexp.MustCompile(`[\w\[\].:%+-]+`)
	times        = regexp.MustCompile(`^\[?(\d{4}-\d\d-\d\dT)?([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?[\].:]*$`)
	addresses    = regexp.MustCompile(`\[?[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*\]?(:\d+)?|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\b[A-Za-z0-9][A-Za-z0-9.-]*:\d{2,5}\b`)
	// A host by what is said of it, or by how its name ends.
	hosts = regexp.MustCompile(`(?i)\b(lookup|resolve host:?|ENOTFOUND)\s+['"]?[\w.-]+|` +
		`\b(host:?|dial(?: tcp[46]?)?|connect(?:ion|ed|ing)? (?:to|from|with))\s+['"]?\w+(?:[.-]\w+)+\.?`)
	domains = regexp.MustCompile(`(?i)\b[\w-]+(\.[\w-]+)*\.(internal|local|localdomain|lan|corp|intranet|svc|com|net|org)\.*([^\w.-]|$)`)
	// ClickHouse puts the name before the reason; a number there is a code.
	logins = regexp.MustCompile(`(?i)(message:\s+)?(?:[^\s:]*[^\s:\d][^\s:]*:\s+)?(authentication failed|not enough privileges)`)
	users  = regexp.MustCompile("(?i)\\b(user)\\s+(?:[`'\"][^`'\"]*[`'\"]|[^\\s`'\"]+(\\s+(?:has|is|was)\\b))|\\b((?:for|as|by) user)\\s+[^\\s`'\"(]+")
	paths  = regexp.MustCompile(`(^|[\s'"(=])(/[\w.@+-]+){2,}/?`)
)

// maxPublic bounds what is looked at, in bytes: an agent's text may be megabytes, and
// nobody is shown more.
const maxPublic = 4 << 10

// Public returns what users may read of a text that was not written for them: without
// statements, addresses, credentials, names of users and paths of files. It is the last
// line of defence: sentences that are ours hold none of these in the first place.
func Public(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxPublic)], "?")
	if cut := afterTheReason.FindStringIndex(text); cut != nil {
		text = text[:cut[0]]
	}
	text = statements.ReplaceAllString(text, "(statement)")
	text = secrets.ReplaceAllString(text, "(secret)")
	text = secretsGoOn.ReplaceAllString(text, "(secret)")
	text = urls.ReplaceAllString(text, "(address)")
	text = certificates.ReplaceAllString(text, "$1 (address)")
	text = words.ReplaceAllStringFunc(text, func(word string) string {
		if times.MatchString(word) {
			return word
		}
		return addresses.ReplaceAllString(word, "(address)")
	})
	text = hosts.ReplaceAllString(text, "$1$2 (address)")
	text = domains.ReplaceAllString(text, "(address)$3")
	text = logins.ReplaceAllString(text, "$1$2")
	text = users.ReplaceAllString(text, "$1$3 (name)$2")
	return paths.ReplaceAllString(text, "$1(path)")
}
