// Package access says who calls and what a caller may see: its role, its clusters, and
// the ways to tell it by the token that it presents. It knows nothing of routes.
package access

import (
	"context"
	"time"

	"github.com/atlhyper/observe/redis/key"
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

// MaxToken bounds a token that is presented, in bytes.
const MaxToken = 16 << 10

// Authenticator tells callers by the tokens that they present.
type Authenticator interface {
	// Mode is how it does.
	Mode() Mode
	// Authenticate returns who presents a token. Errors are *fault.Error: unauthorized
	// for a token that is not, no more, or not yet valid; forbidden when it is valid
	// and gives no right here; unavailable when that cannot be found out. They say
	// nothing of the token; why, if anything is to be said, is logged at debug.
	Authenticate(ctx context.Context, token string) (*Caller, error)
}

// Caller is who sends a request. It is not changed once it is there.
type Caller struct {
	// Name is unique among the callers of an Authenticator, and may be logged.
	Name string
	Role Role
	// Clusters are those that exist for the caller.
	Clusters Clusters
	// Expires is when the token ends; zero: never.
	Expires time.Time
}

// Sees tells whether the cluster exists for the caller.
func (c *Caller) Sees(cluster key.Cluster) bool { return c.Clusters.match(cluster) }

// SeesAll tells whether all clusters do, also those that are yet to come.
func (c *Caller) SeesAll() bool { return c.Clusters.all }

// Anyone is a caller who may do all, as all may with ModeNone.
func Anyone() *Caller { return &Caller{Name: "anyone", Role: Operator, Clusters: AllClusters()} }

// Nobody is who a request is from before that was found out. It may do nothing.
func Nobody() *Caller { return &Caller{} }

// None is the Authenticator of ModeNone.
type None struct{}

// Mode implements Authenticator.
func (None) Mode() Mode { return ModeNone }

// Authenticate implements Authenticator: all are Anyone, whatever they present.
func (None) Authenticate(context.Context, string) (*Caller, error) { return Anyone(), nil }

// Missing is the error of a request without a token.
func Missing() error {
	return fault.New(fault.Unauthorized, "no credentials: send the header Authorization: Bearer TOKEN, or open a session")
}

// Invalid is the error of a request whose token does not count. All such requests are
// told the same: what is wrong with a token helps only who made it up.
func Invalid() error {
	return fault.New(fault.Unauthorized, "the credentials are not valid or have expired")
}
