package conn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]address{
		"redis://h":                 {topology: Single, network: "tcp", hosts: []string{"h:6379"}},
		"REDIS://h:7/":              {topology: Single, network: "tcp", hosts: []string{"h:7"}},
		"redis://:p%40%2F@h/3":      {topology: Single, network: "tcp", hosts: []string{"h:6379"}, db: 3, password: "p@/"},
		"rediss://u:a:b@[::1]":      {topology: Single, network: "tcp", hosts: []string{"[::1]:6379"}, username: "u", password: "a:b", tls: true},
		"rediss://u@[::1]:7?db=2":   {topology: Single, network: "tcp", hosts: []string{"[::1]:7"}, username: "u", db: 2, tls: true},
		"redis://u:p@ss@h":          {topology: Single, network: "tcp", hosts: []string{"h:6379"}, username: "u", password: "p@ss"},
		"unix:///run/redis/s":       {topology: Single, network: "unix", hosts: []string{"/run/redis/s"}},
		"unix://u:p@/run/a%20b?db=": {},
		"unix://u:p@/s?db=4":        {topology: Single, network: "unix", hosts: []string{"/s"}, username: "u", password: "p", db: 4},
		"redis-sentinel://u:p@h1:1,h2,[::2]/my-primary_1?db=5": {
			topology: Sentinel, network: "tcp", hosts: []string{"h1:1", "h2:26379", "[::2]:26379"},
			primary: "my-primary_1", db: 5, username: "u", password: "p",
		},
		"rediss-sentinel://h/p":          {topology: Sentinel, network: "tcp", hosts: []string{"h:26379"}, primary: "p", tls: true},
		"redis-cluster://h1,h2:7,h3/":    {topology: Cluster, network: "tcp", hosts: []string{"h1:6379", "h2:7", "h3:6379"}},
		"rediss-cluster://u:p@h1/0?db=0": {topology: Cluster, network: "tcp", hosts: []string{"h1:6379"}, username: "u", password: "p", tls: true},
	} {
		got, err := parseURL(text)
		if want.network == "" {
			if err == nil {
				t.Errorf("%s: want an error", text)
			}
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(address{})); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
}

// Errors name the part and quote nothing.
func TestBadURLs(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		"":                                          "URL is required",
		"hunter2":                                   "scheme",
		"http://u:hunter2@h":                        "scheme",
		"redis:h":                                   "scheme",
		"redis://u:hunter2@":                        "host 1: is empty",
		"redis://u:hunter2@:6379":                   "host 1: is empty",
		"redis://u:hunter2@h:port":                  "host 1: its port",
		"redis://u:hunter2@h:0":                     "host 1: its port",
		"redis://u:hunter2@h:70000":                 "host 1: its port",
		"redis://u:hunter2/x@h":                     "host 1: its port",
		"redis://u:hunter2#x@h":                     "%23",
		"redis://u:hunter2%zz@h":                    "password",
		"redis://%zz:hunter2@h":                     "user name",
		"redis://u:hunter2@[::1":                    "host 1",
		"redis://u:hunter2@h1,h2":                   "host: has too many",
		"redis://u:hunter2@h/x":                     "database",
		"redis://u:hunter2@h/-1":                    "database",
		"redis://u:hunter2@h/40000":                 "database",
		"redis://u:hunter2@h/1?db=1":                "options",
		"redis://u:hunter2@h?timeout=1":             "options",
		"redis://u:hunter2@h?%zz":                   "options",
		"redis://u:hunter2@h/1/2":                   "database",
		"unix://u:hunter2@host/s":                   "unix://",
		"unix://u:hunter2@":                         "unix://",
		"redis-sentinel://u:hunter2@h":              "name of the primary",
		"redis-sentinel://u:hunter2@h/a/b":          "name of the primary",
		"redis-sentinel://u:hunter2@h1,,h2/p":       "host 2: is empty",
		"redis-sentinel://u:hunter2@h,h:26379/p":    "host 2: is there twice",
		"redis-cluster://u:hunter2@h1,h2/1":         "only database 0",
		"redis-cluster://u:hunter2@h1,h2?db=7":      "only database 0",
		"redis-cluster://u:hunter2@h1,h 2":          "host 2",
		"redis://" + strings.Repeat("hunter2", 999): "longer",
	} {
		_, err := parseURL(text)
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60s: %v, want an error about %q", text, err, part)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"redis://u:p@h:1/2?db=3", "redis-sentinel://u:p@h1,[::1]:2/name", "redis-cluster://h1,h2", "unix://u:p@/a/b", "rediss://%41@h#",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseURL(text)
		if err != nil {
			// A secret is long enough not to be in the text of every error by chance.
			if secret := strings.TrimSpace(text); len(secret) > 8 && strings.Contains(err.Error(), secret) && !strings.Contains(URLForms, secret) {
				t.Errorf("the error quotes the URL: %v", err)
			}
			return
		}
		if len(a.hosts) == 0 || len(a.hosts) > maxHosts || a.db < 0 || a.db > maxDB || a.topology == Cluster && a.db != 0 || (a.primary != "") != (a.topology == Sentinel) {
			t.Errorf("%q is read as %+v", text, a)
		}
	})
}
