package conn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Topology is how the Redis servers stand to each other.
type Topology string

// The topologies.
const (
	// Single is one server, or one address that always leads to the primary.
	Single Topology = "single"
	// Sentinel is a primary with replicas that Sentinels watch over.
	Sentinel Topology = "sentinel"
	// Cluster is Redis Cluster: every primary has a part of the keys.
	Cluster Topology = "cluster"
)

// URLForms are the URLs that Config.URL takes, for help texts.
const URLForms = "redis://user:password@host:6379/0, redis-sentinel://user:password@host1:26379,host2:26379/primary?db=0, " +
	"redis-cluster://user:password@host1:6379,host2:6379, the same with rediss for TLS, or unix:///path/to/socket"

// address is what a URL says.
type address struct {
	topology Topology
	network  string   // tcp or unix
	hosts    []string // host:port, or one path
	primary  string   // its name at the Sentinels
	db       int
	username string
	password string
	tls      bool
}

// schemes is the table of URL schemes.
func schemes() map[string]address {
	return map[string]address{
		"redis":           {topology: Single, network: "tcp"},
		"rediss":          {topology: Single, network: "tcp", tls: true},
		"unix":            {topology: Single, network: "unix"},
		"redis-sentinel":  {topology: Sentinel, network: "tcp"},
		"rediss-sentinel": {topology: Sentinel, network: "tcp", tls: true},
		"redis-cluster":   {topology: Cluster, network: "tcp"},
		"rediss-cluster":  {topology: Cluster, network: "tcp", tls: true},
	}
}

const (
	maxURL   = 4096
	maxHosts = 64
	maxDB    = 1<<15 - 1
	// Ports that a host without one has.
	serverPort, sentinelPort = "6379", "26379"
)

// parseURL reads a URL. It does not use url.Parse, which refuses several hosts,
// and no error quotes any of the URL: what looks like a host may be the rest of a
// password that holds a '/' or '@'.
func parseURL(text string) (address, error) {
	if text == "" {
		return address{}, errors.New("redis: URL is required")
	}
	if len(text) > maxURL {
		return address{}, fmt.Errorf("redis: URL: is longer than %d bytes", maxURL)
	}
	scheme, rest, found := strings.Cut(text, "://")
	a, known := schemes()[strings.ToLower(scheme)]
	if !found || !known {
		return address{}, errors.New("redis: URL: unknown scheme; want " + URLForms)
	}
	rest, query, _ := strings.Cut(rest, "?")
	if strings.ContainsRune(rest+query, '#') {
		return address{}, errors.New("redis: URL: has a '#'; in a password write it %23")
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	for _, part := range []func() error{
		func() error { return a.parseUser(&authority) },
		func() error { return a.parseHosts(authority, path) },
		func() error { return a.parsePath(path) },
		func() error { return a.parseQuery(query) },
	} {
		if err := part(); err != nil {
			return address{}, fmt.Errorf("redis: URL: %w", err)
		}
	}
	if a.topology == Cluster && a.db != 0 {
		return address{}, errors.New("redis: URL: database: Redis Cluster has only database 0")
	}
	return a, nil
}

// parseUser takes what stands before the last '@' off the authority.
func (a *address) parseUser(authority *string) error {
	i := strings.LastIndexByte(*authority, '@')
	if i < 0 {
		return nil
	}
	name, password, _ := strings.Cut((*authority)[:i], ":")
	*authority = (*authority)[i+1:]
	for _, f := range []struct {
		name, text string
		to         *string
	}{{"user name", name, &a.username}, {"password", password, &a.password}} {
		plain, err := url.PathUnescape(f.text)
		if err != nil {
			return fmt.Errorf("%s: a '%%' is not followed by two hexadecimal digits; write it %%25", f.name)
		}
		*f.to = plain
	}
	return nil
}

func (a *address) parseHosts(list, path string) error {
	if a.network == "unix" {
		if list != "" || path == "" || path == "/" {
			return errors.New("want unix:///path/to/socket")
		}
		plain, err := url.PathUnescape(path)
		if err != nil {
			return errors.New("path: a '%' is not followed by two hexadecimal digits")
		}
		a.hosts = []string{plain}
		return nil
	}
	hosts := strings.Split(list, ",")
	if len(hosts) > maxHosts || a.topology == Single && len(hosts) > 1 {
		return errors.New("host: has too many; several are for redis-sentinel:// and redis-cluster://")
	}
	port := serverPort
	if a.topology == Sentinel {
		port = sentinelPort
	}
	for i, host := range hosts {
		full, err := hostPort(host, port)
		if err != nil {
			return fmt.Errorf("host %d: %w", i+1, err)
		}
		if slices.Contains(a.hosts, full) {
			return fmt.Errorf("host %d: is there twice", i+1)
		}
		a.hosts = append(a.hosts, full)
	}
	return nil
}

// hostPort splits and checks host, host:port, [v6] or [v6]:port.
func hostPort(text, port string) (string, error) {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", errors.New("its port is not a number from 1 to 65535 (in a password write '/' as %2F, '@' as %40, '?' as %3F)")
		}
	}
	if v6, ok := strings.CutPrefix(host, "["); ok {
		v6, ok = strings.CutSuffix(v6, "]")
		if !ok || net.ParseIP(v6) == nil {
			return "", errors.New("is not [an IPv6 address]")
		}
		return net.JoinHostPort(v6, port), nil
	}
	if host == "" {
		return "", errors.New("is empty")
	}
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", errors.New("may hold only letters, digits, '-', '.' and '_'")
		}
	}
	return net.JoinHostPort(host, port), nil
}

// parsePath reads the database, or the name of the Sentinels' primary.
func (a *address) parsePath(path string) error {
	path = strings.TrimPrefix(path, "/")
	switch {
	case a.network == "unix":
		return nil
	case a.topology == Sentinel:
		if path == "" {
			return errors.New("path: the name of the primary is missing; want redis-sentinel://host1,host2/name")
		}
		if len(path) > 128 || strings.ContainsFunc(path, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._", c)
		}) {
			return errors.New("path: the name of the primary may hold only letters, digits, '-', '.' and '_'")
		}
		a.primary = path
		return nil
	case path == "":
		return nil
	}
	return a.setDB(path)
}

func (a *address) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("options after '?': cannot be parsed; the only one is db")
	}
	for name, list := range values {
		if name != "db" || len(list) != 1 || a.db != 0 {
			return errors.New("options after '?': the only one is db, once")
		}
		if err := a.setDB(list[0]); err != nil {
			return err
		}
	}
	return nil
}

func (a *address) setDB(text string) error {
	db, err := strconv.ParseUint(text, 10, 32)
	if err != nil || db > maxDB {
		return fmt.Errorf("database: is not a number from 0 to %d", maxDB)
	}
	a.db = int(db)
	return nil
}
