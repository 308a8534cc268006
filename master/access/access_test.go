package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		globs     []string
		sees, not []key.Cluster
		all       bool
	}{
		{[]string{"*"}, []key.Cluster{"a", "prod-eu-1"}, nil, true},
		{[]string{"**"}, []key.Cluster{"a"}, nil, true},
		{[]string{"prod-*"}, []key.Cluster{"prod-", "prod-1", "prod-eu-1"}, []key.Cluster{"prod", "xprod-1", "staging-1"}, false},
		{[]string{"prod-?"}, []key.Cluster{"prod-1"}, []key.Cluster{"prod-", "prod-10"}, false},
		{[]string{"b", "a"}, []key.Cluster{"a", "b"}, []key.Cluster{"c", "", "ab"}, false},
		{[]string{"?*"}, []key.Cluster{"a", "abc"}, []key.Cluster{""}, false},
	} {
		clusters, err := access.ParseClusters(c.globs)
		if err != nil {
			t.Errorf("%q: %v", c.globs, err)
			continue
		}
		caller := access.NewCaller("x", time.Time{}, access.Grant{Role: access.Viewer, Clusters: clusters})
		for _, id := range c.sees {
			if !caller.Sees(id) {
				t.Errorf("%q does not hold %q", c.globs, id)
			}
		}
		for _, id := range c.not {
			if caller.Sees(id) {
				t.Errorf("%q holds %q", c.globs, id)
			}
		}
		if caller.SeesAll() != c.all {
			t.Errorf("%q: SeesAll = %v", c.globs, caller.SeesAll())
		}
	}
}

func TestBadClusters(t *testing.T) {
	t.Parallel()
	for _, globs := range [][]string{
		nil, {""}, {"a", ""}, {"Prod"}, {"[a-z]"}, {`a\*`}, {"a/b"}, {"a,b"}, {strings.Repeat("a", key.MaxClusterID+1)},
		make([]string, access.MaxGlobs+1),
	} {
		if _, err := access.ParseClusters(globs); err == nil || !strings.HasPrefix(err.Error(), "clusters: ") {
			t.Errorf("%.3q: %v, want an error that names clusters", globs, err)
		}
	}
}

func TestUnion(t *testing.T) {
	t.Parallel()
	a, errA := access.ParseClusters([]string{"b-*", "a"})
	b, errB := access.ParseClusters([]string{"a", "c"})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if diff := cmp.Diff([]string{"a", "b-*", "c"}, a.Or(b).Globs()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if a.Or(b).Or(access.AllClusters()).Globs()[0] != "*" {
		t.Error("all clusters are not in the union")
	}
}

// What is granted in some clusters says nothing of others.
func TestRoleIn(t *testing.T) {
	t.Parallel()
	clusters := func(globs ...string) access.Clusters {
		c, err := access.ParseClusters(globs)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	caller := access.NewCaller("x", time.Time{},
		access.Grant{Role: access.Viewer, Clusters: clusters("a-*", "b-1")}, access.Grant{Role: access.Operator, Clusters: clusters("b-*")})
	for id, want := range map[key.Cluster]access.Role{"a-1": access.Viewer, "b-1": access.Operator, "b-2": access.Operator, "c": 0} {
		if got := caller.RoleIn(id); got != want || caller.Sees(id) != (want != 0) {
			t.Errorf("in %s: role %v, sees %v; want %v", id, got, caller.Sees(id), want)
		}
	}
	if caller.Role != access.Operator || caller.SeesAll() {
		t.Errorf("role %v, all %v", caller.Role, caller.SeesAll())
	}
	all := access.NewCaller("x", time.Time{}, access.Grant{Role: access.Viewer, Clusters: access.AllClusters()}, access.Grant{Role: access.Operator, Clusters: clusters("b-*")})
	if !all.SeesAll() || all.RoleIn("a") != access.Viewer {
		t.Errorf("a viewer of all: %v, role %v", all.SeesAll(), all.RoleIn("a"))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"grafana", "ann@example.org", "auth0|5f7c8ec7c33c6c004bbafe82", "system:serviceaccount:ns/x", strings.Repeat("a", access.MaxName)} {
		if err := access.ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a\n", "ä", strings.Repeat("a", access.MaxName+1)} {
		if access.ValidateName(name) == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, r := range []access.Role{access.Viewer, access.Operator} {
		if parsed, err := access.ParseRole(r.String()); err != nil || parsed != r {
			t.Errorf("%s reads as %v, %v", r, parsed, err)
		}
	}
	for _, name := range []string{"", "admin", "Viewer"} {
		if _, err := access.ParseRole(name); err == nil {
			t.Errorf("%q is a role", name)
		}
	}
	if access.Viewer.Covers(access.Operator) || !access.Operator.Covers(access.Viewer) || access.Nobody().Role.Covers(access.Viewer) {
		t.Error("roles are not in order")
	}
}

func TestNobodyMayDoNothing(t *testing.T) {
	t.Parallel()
	if nobody := access.Nobody(); nobody.Sees("a") || nobody.SeesAll() {
		t.Error("nobody sees clusters")
	}
	anyone, err := access.None{}.Authenticate(t.Context(), "whatever")
	if err != nil || !anyone.SeesAll() || !anyone.Role.Covers(access.Operator) {
		t.Errorf("with mode none, a caller is %+v, %v", anyone, err)
	}
}
