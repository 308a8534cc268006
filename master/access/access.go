// Package access says who calls and what a caller may see: its role, its clusters, and
// the ways to tell it by the token that it presents. It knows nothing of routes.
package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/ascii"
	"github.com/atlhyper/observe/shared/fault"
)

// Mode is how callers are told apart.
type Mode string

// The modes.
const (
	ModeNone   Mode = "none"   // not at all: whoever reaches the API may do all
	ModeTokens Mode = "tokens" // by a file of tokens
	ModeOIDC   Mode = "oidc"   // by the tokens of an OpenID Connect issuer
)

// Bounds of a caller.
const (
	MaxName  = 128 // characters of a name
	MaxGlobs = 100 // patterns of clusters in one grant
)

// MaxToken bounds a token that is presented, in bytes.
const MaxToken = 16 << 10

// Authenticator tells callers by the tokens that they present.
type Authenticator interface {
	// Mode is how it does.
	Mode() Mode
	// Authenticate returns who presents a token. Errors are *fault.Error: unauthorized
	// for a token that is not, no more, or not yet valid; forbidden when it is valid
	// and gives no right here, with a caller who has none, or nil when the token does not
	// name it; unavailable when that cannot be found out. They say
	// nothing of the token; why, if anything is to be said, is logged at debug.
	Authenticate(ctx context.Context, token string) (*Caller, error)
}

// Caller is who sends a request. It is not changed once it is there.
type Caller struct {
	// Name is unique among the callers of an Authenticator, and may be logged.
	Name string
	// Role is the highest that the caller has in any cluster; RoleIn tells that of one.
	Role Role
	// Clusters are those that exist for the caller.
	Clusters Clusters
	// Expires is when the token ends; zero: never.
	Expires time.Time

	grants []Grant
}

// Grant is a role in some clusters.
type Grant struct {
	Role     Role
	Clusters Clusters
}

// NewCaller returns a caller who has all the grants: in a cluster that several of them
// hold, the highest role.
func NewCaller(name string, expires time.Time, grants ...Grant) *Caller {
	c := &Caller{Name: name, Expires: expires, grants: grants}
	for _, g := range grants {
		c.Role = max(c.Role, g.Role)
		c.Clusters = c.Clusters.Or(g.Clusters)
	}
	return c
}

// Grants are the roles of the caller, each with the clusters in which it has it.
func (c *Caller) Grants() []Grant { return slices.Clone(c.grants) }

// RoleIn is what the caller may do in a cluster; zero: it does not exist for the caller.
func (c *Caller) RoleIn(cluster key.Cluster) Role {
	var role Role
	for _, g := range c.grants {
		if g.Clusters.match(cluster) {
			role = max(role, g.Role)
		}
	}
	return role
}

// Sees tells whether the cluster exists for the caller.
func (c *Caller) Sees(cluster key.Cluster) bool { return c.Clusters.match(cluster) }

// SeesAll tells whether all clusters do, also those that are yet to come.
func (c *Caller) SeesAll() bool { return c.Clusters.all }

// Anyone is a caller who may do all, as all may with ModeNone.
func Anyone() *Caller {
	return NewCaller("anyone", time.Time{}, Grant{Operator, AllClusters()})
}

// Nobody is who a request is from before that was found out. It may do nothing.
func Nobody() *Caller { return NewCaller("", time.Time{}) }

// None is the Authenticator of ModeNone.
type None struct{}

// Mode implements Authenticator.
func (None) Mode() Mode { return ModeNone }

// Authenticate implements Authenticator: all are Anyone, whatever they present.
func (None) Authenticate(context.Context, string) (*Caller, error) { return Anyone(), nil }

// ValidateName checks the name of a caller: 1 to MaxName of letters, digits and
// .-_@:/+|, so that it can stand in logs as it is.
func ValidateName(name string) error {
	if name == "" {
		return errors.New("name: is required")
	}
	if len(name) > MaxName {
		return fmt.Errorf("name: is longer than %d characters", MaxName)
	}
	if i := ascii.IndexOther(name, ".-_@:/+|"); i >= 0 {
		return fmt.Errorf("name: may hold only letters, digits and .-_@:/+|, not %q", name[i])
	}
	return nil
}

// Missing is the error of a request without a token.
func Missing() error {
	return fault.New(fault.Unauthorized, "no credentials: send the header Authorization: Bearer TOKEN, or open a session")
}

// Invalid is the error of a request whose token does not count. All such requests are
// told the same: what is wrong with a token helps only who made it up.
func Invalid() error {
	return fault.New(fault.Unauthorized, "the credentials are not valid or have expired")
}
