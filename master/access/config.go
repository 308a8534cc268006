package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says how callers are told apart.
type Config struct {
	// Mode is how; "" means none.
	Mode Mode
	// TokensFile is the file of ModeTokens, as ParseTokens reads it.
	TokensFile string
	// OIDC is for ModeOIDC; its Metrics and Logger are those below.
	OIDC OIDCConfig
	// Metrics gets what is counted. nil means none.
	Metrics prometheus.Registerer
	// Logger gets what happens. Required but for ModeNone.
	Logger *slog.Logger
}

// Service is an Authenticator that keeps itself up to date.
type Service interface {
	Authenticator
	// Run does so until ctx ends, and returns its error.
	Run(ctx context.Context) error
}

// Validate names the first field that cannot be used, or that another mode is for: who
// gives a file of tokens and no mode believes that it counts.
func (c Config) Validate() error {
	o := c.OIDC
	usesOIDC := o.Issuer != "" || o.Audience != "" || o.File != "" || o.CAFile != ""
	switch {
	case c.Mode != "" && c.Mode != ModeNone && c.Mode != ModeTokens && c.Mode != ModeOIDC:
		return fmt.Errorf("auth: %.40q is none of %s, %s and %s", c.Mode, ModeNone, ModeTokens, ModeOIDC)
	case c.Mode == ModeTokens && c.TokensFile == "":
		return fmt.Errorf("tokens file: is required with auth %s", ModeTokens)
	case c.Mode != ModeTokens && c.TokensFile != "":
		return fmt.Errorf("tokens file: is only for auth %s", ModeTokens)
	case c.Mode != ModeOIDC && usesOIDC:
		return fmt.Errorf("oidc: is only for auth %s", ModeOIDC)
	case c.Mode == ModeOIDC:
		return o.Validate()
	}
	return nil
}

// New returns what the Config says.
func New(cfg Config) (Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	switch cfg.Mode {
	case ModeTokens:
		return NewTokens(TokensConfig{File: cfg.TokensFile, Metrics: cfg.Metrics, Logger: cfg.Logger})
	case ModeOIDC:
		cfg.OIDC.Metrics, cfg.OIDC.Logger = cfg.Metrics, cfg.Logger
		return NewOIDC(cfg.OIDC)
	case ModeNone, "":
		return None{}, nil
	default:
		return nil, errors.New("access: no such mode")
	}
}

// Run implements Service.
func (None) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
