package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/httpserver"
	"github.com/atlhyper/observe/shared/readfile"
)

// Defaults and bounds of OIDCConfig.
const (
	DefaultSkew    = 30 * time.Second
	MaxSkew        = 5 * time.Minute
	DefaultRefresh = 5 * time.Minute
	DefaultRefetch = 10 * time.Second
	DefaultTimeout = 5 * time.Second // of one question to the issuer
	// maxVerified bounds the tokens that need not be verified again: a few hundred bytes each.
	maxVerified = 10_000
)

// OIDCConfig is what OIDC needs.
type OIDCConfig struct {
	// Issuer is the URL that tokens name as theirs, to the letter; below it lies
	// /.well-known/openid-configuration. https, but on this machine. "" means that the
	// file says it.
	Issuer string
	// Audience must be among those that a token is for. "" means that the file says it.
	Audience string
	// File says what claims give: ParseClaims reads it. Required.
	File string
	// CAFile is the PEM file of the authorities that may sign the issuer's certificate;
	// "" means the system's.
	CAFile string
	// Skew is how far the issuer's clock and ours may differ, at most 5 minutes; 0 means
	// 30 s, less than 0 not at all.
	Skew time.Duration
	// Refresh is how often the keys are read without need; 0 means 5 minutes.
	Refresh time.Duration
	// Refetch is the least time between two reads of the keys, whatever the tokens that
	// are presented say they are signed with; 0 means 10 s.
	Refetch time.Duration
	// Timeout bounds one question to the issuer; 0 means 5 s.
	Timeout time.Duration
	// Now is the clock by which tokens expire; nil means time.Now.
	Now func() time.Time
	// Metrics gets what is known of the issuer. nil means none.
	Metrics prometheus.Registerer
	// Logger gets that the issuer cannot be asked at warn, and why tokens are refused at
	// debug. Required.
	Logger *slog.Logger
}

// Validate names the first field that cannot be used, without a look into the files.
func (c OIDCConfig) Validate() error {
	switch {
	case c.File == "":
		return errors.New("oidc config: is required: a file that says which claims give which role")
	case c.Skew > MaxSkew:
		return fmt.Errorf("oidc skew: %s is more than %s", c.Skew, MaxSkew)
	case c.Refresh < 0 || c.Refetch < 0 || c.Timeout < 0:
		return errors.New("oidc refresh, refetch and timeout must not be negative")
	}
	return nil
}

// validateIssuer checks what may be in the file.
func (c OIDCConfig) validateIssuer() error {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("oidc issuer: %.200q is no URL such as https://login.example.org/realms/prod", c.Issuer)
	case u.Scheme == "http" && !httpserver.IsLoopback(u.Hostname()):
		return fmt.Errorf("oidc issuer: %.200q must be https: whoever is between could sign tokens", c.Issuer)
	case c.Audience == "":
		return errors.New("oidc audience: is required: else a token for any other service of the issuer would count")
	}
	return nil
}

func (c OIDCConfig) withDefaults() OIDCConfig {
	if c.Skew == 0 {
		c.Skew = DefaultSkew
	}
	c.Skew = max(c.Skew, 0)
	if c.Refresh == 0 {
		c.Refresh = DefaultRefresh
	}
	if c.Refetch == 0 {
		c.Refetch = DefaultRefetch
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// OIDC tells callers by JSON Web Tokens of an OpenID Connect issuer.
type OIDC struct {
	cfg      OIDCConfig
	claims   *Claims
	keys     *issuerKeys
	verified *lru.Cache[digest, *verifiedToken]
}

// verifiedToken is a token that need not be verified again while the issuer has the same
// keys.
type verifiedToken struct {
	caller *Caller
	keys   *keySet
	until  time.Time
}

// NewOIDC reads the files. It does not ask the issuer: that it is away is said by every
// answer, and mends itself.
func NewOIDC(cfg OIDCConfig) (*OIDC, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		return nil, errors.New("access: Logger is required")
	}
	cfg = cfg.withDefaults()
	data, err := readfile.Regular(cfg.File, maxClaimsFile)
	if err != nil {
		return nil, fmt.Errorf("oidc config: %w", err)
	}
	claims, err := ParseClaims(data)
	if err != nil {
		return nil, fmt.Errorf("oidc config: %s: %w", cfg.File, err)
	}
	cfg.Issuer, cfg.Audience = cmp.Or(cfg.Issuer, claims.Issuer), cmp.Or(cfg.Audience, claims.Audience)
	if err := cfg.validateIssuer(); err != nil {
		return nil, err
	}
	keys, err := newIssuerKeys(cfg)
	if err != nil {
		return nil, err
	}
	verified, err := lru.New[digest, *verifiedToken](maxVerified)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &OIDC{cfg: cfg, claims: claims, keys: keys, verified: verified}, nil
}

// Mode implements Authenticator.
func (*OIDC) Mode() Mode { return ModeOIDC }

// Run keeps the issuer's keys up to date until ctx ends.
func (o *OIDC) Run(ctx context.Context) error { return o.keys.run(ctx) }

// Authenticate implements Authenticator. A token that was verified before is looked up.
func (o *OIDC) Authenticate(ctx context.Context, token string) (*Caller, error) {
	sum := digestOf(token)
	if v, ok := o.verified.Get(sum); ok && v.keys == o.keys.set.Load() {
		if o.cfg.Now().Before(v.until) {
			return v.caller, nil
		}
		return nil, Invalid()
	}
	caller, keys, err := o.verify(ctx, token)
	if err != nil {
		return caller, err
	}
	o.verified.Add(sum, &verifiedToken{caller, keys, caller.Expires.Add(o.cfg.Skew)})
	return caller, nil
}

// verify checks a token: OpenID Connect Core 1.0, 3.1.3.7, and RFC 7519, 4.1. It returns
// the keys that it was checked with. With an error the caller is that of Authenticate.
func (o *OIDC) verify(ctx context.Context, token string) (*Caller, *keySet, error) {
	try := &attempt{issuer: o.keys}
	verifier := oidc.NewVerifier(o.cfg.Issuer, try, &oidc.Config{
		ClientID: o.cfg.Audience, SupportedSigningAlgs: algorithmNames(),
		SkipExpiryCheck: true, // its skew is fixed: checkTimes does
	})
	parsed, err := verifier.Verify(ctx, token)
	if try.away != nil {
		return nil, nil, try.away
	}
	if err != nil {
		return nil, nil, o.refuse(ctx, err)
	}
	var claims map[string]any
	if err := parsed.Claims(&claims); err != nil {
		return nil, nil, o.refuse(ctx, err)
	}
	expires, err := checkTimes(claims, o.cfg.Now(), o.cfg.Skew)
	if err != nil {
		return nil, nil, o.refuse(ctx, err)
	}
	caller, err := o.claims.caller(claims, expires)
	if err != nil {
		o.cfg.Logger.DebugContext(ctx, "a token gives no rights", "subject", parsed.Subject, "reason", err)
		return caller, nil, fault.Wrap(err, fault.Forbidden, "your credentials are valid, and give no right here")
	}
	return caller, try.keys, nil
}

func (o *OIDC) refuse(ctx context.Context, why error) error {
	o.cfg.Logger.DebugContext(ctx, "a token was refused", "reason", why)
	return Invalid()
}

// checkTimes returns when a token expires. That must be said; since when it holds, and
// when it was issued, need not be.
func checkTimes(claims map[string]any, now time.Time, skew time.Duration) (time.Time, error) {
	expires, ok, err := timeClaim(claims, "exp")
	switch {
	case err != nil:
		return time.Time{}, err
	case !ok:
		return time.Time{}, errors.New("exp: is missing")
	case !now.Before(expires.Add(skew)):
		return time.Time{}, fmt.Errorf("exp: it expired at %s", expires)
	}
	for _, name := range []string{"nbf", "iat"} {
		from, ok, err := timeClaim(claims, name)
		if err != nil {
			return time.Time{}, err
		}
		if ok && now.Before(from.Add(-skew)) {
			return time.Time{}, fmt.Errorf("%s: it holds from %s on", name, from)
		}
	}
	return expires, nil
}

// timeClaim reads a NumericDate: RFC 7519, 2.
func timeClaim(claims map[string]any, name string) (at time.Time, there bool, err error) {
	value, there := claims[name]
	if !there {
		return time.Time{}, false, nil
	}
	const year9999 = 253_402_300_799
	seconds, ok := value.(float64)
	if !ok || !(seconds >= 0 && seconds <= year9999) { // also refuses NaN
		return time.Time{}, true, fmt.Errorf("%s: is no time", name)
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), true, nil
}
