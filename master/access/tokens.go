package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/readfile"
)

// DefaultReload is how often a file of tokens is looked at.
const DefaultReload = 5 * time.Second

// TokensConfig is what Tokens needs.
type TokensConfig struct {
	// File holds the tokens; ParseTokens reads it. Required. It is read through links
	// each time: Kubernetes swaps a link when a Secret changes.
	File string
	// Reload is how often the file is looked at; 0 means 5 s.
	Reload time.Duration
	// Now is the clock by which tokens expire; nil means time.Now.
	Now func() time.Time
	// Metrics gets whether the file can be read. nil means none.
	Metrics prometheus.Registerer
	// Logger gets changes of the file at info, and that it cannot be read at error. Required.
	Logger *slog.Logger
}

// Tokens tells callers by a file of tokens, and follows its changes. A file that cannot
// be read changes nothing.
type Tokens struct {
	cfg  TokensConfig
	set  atomic.Pointer[TokenSet]
	ok   atomic.Bool // the file is as set says
	seen digest      // SHA-256 of the file that was tried last
	said string      // why that failed, "" when it did not
}

// NewTokens reads the file; the error names the line that is wrong.
func NewTokens(cfg TokensConfig) (*Tokens, error) {
	if cfg.Logger == nil {
		return nil, errors.New("access: Logger is required")
	}
	if cfg.Reload == 0 {
		cfg.Reload = DefaultReload
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Tokens{cfg: cfg}
	data, err := readfile.Regular(cfg.File, MaxTokensFile)
	if err != nil {
		return nil, err
	}
	set, err := ParseTokens(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.File, err)
	}
	t.seen = sha256.Sum256(data)
	t.set.Store(set)
	t.ok.Store(true)
	return t, metric.Register(cfg.Metrics, []metric.Row{
		{Name: "auth_tokens", Help: "Tokens that the replica knows, expired ones among them.", Gauge: func() float64 { return float64(len(t.set.Load().callers)) }},
		{Name: "auth_tokens_last_reload_successful", Help: "Whether the file of tokens could be read when it was looked at last.", Gauge: t.readable},
	})
}

func (t *Tokens) readable() float64 {
	if t.ok.Load() {
		return 1
	}
	return 0
}

// Mode implements Authenticator.
func (*Tokens) Mode() Mode { return ModeTokens }

// Authenticate implements Authenticator. The digest of a token is what is looked up, so
// that the time it takes says nothing of the tokens that there are.
func (t *Tokens) Authenticate(_ context.Context, token string) (*Caller, error) {
	sum := digestOf(token)
	found := t.set.Load().callers[sum]
	if found == nil || subtle.ConstantTimeCompare(found.digest[:], sum[:]) != 1 {
		return nil, Invalid()
	}
	if c := found.caller; c.Expires.IsZero() || t.cfg.Now().Before(c.Expires) {
		return c, nil
	}
	return nil, Invalid()
}

// Run follows the file until ctx ends.
func (t *Tokens) Run(ctx context.Context) error {
	ticker := time.NewTicker(t.cfg.Reload)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			t.reload(ctx)
		}
	}
}

// reload takes what the file holds now, if that can be read, and says what is new.
func (t *Tokens) reload(ctx context.Context) {
	set, err := t.read()
	switch {
	case err != nil:
		t.ok.Store(false)
		if said := err.Error(); said != t.said {
			t.said = said
			t.cfg.Logger.ErrorContext(ctx, "the file of tokens cannot be used; the tokens of before stay", "error", err)
		}
	case set != nil:
		t.set.Store(set)
		t.cfg.Logger.InfoContext(ctx, "the file of tokens has changed", "tokens", len(set.callers))
		fallthrough
	default:
		t.ok.Store(true)
		t.said = ""
	}
}

// read returns what the file holds; nil when that is what is known.
func (t *Tokens) read() (*TokenSet, error) {
	data, err := readfile.Regular(t.cfg.File, MaxTokensFile)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if sum == t.seen {
		return nil, nil //nolint:nilnil // nothing new is no failure
	}
	set, err := ParseTokens(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.cfg.File, err)
	}
	t.seen = sum
	return set, nil
}
