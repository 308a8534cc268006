package main

import (
	"time"

	"github.com/atlhyper/observe/master/access"
)

// authFlags say who may call.
type authFlags struct {
	Mode           string `name:"auth" help:"How callers are told apart: none (everyone may see everything), tokens (by --tokens-file), or oidc (by the tokens of an OpenID Connect issuer)." enum:"none,tokens,oidc" default:"none"`
	InsecureNoAuth bool   `help:"Let --auth=none be on an address that other machines reach."`

	TokensFile string `help:"With --auth=tokens: the file that names callers, as atlhyper token new makes it. It is followed as it changes." type:"path" placeholder:"PATH"`

	OIDCConfig   string        `name:"oidc-config" help:"With --auth=oidc: the file that says which claims give which role in which clusters. It may say issuer and audience, too." type:"path" placeholder:"PATH"`
	OIDCIssuer   string        `name:"oidc-issuer" help:"With --auth=oidc: the URL that tokens name as their issuer." placeholder:"URL"`
	OIDCAudience string        `name:"oidc-audience" help:"With --auth=oidc: whom tokens must be for." placeholder:"NAME"`
	OIDCCAFile   string        `name:"oidc-ca-file" help:"With --auth=oidc: PEM file of the authorities that may sign the issuer's certificate; by default the system's." type:"path" placeholder:"PATH"`
	OIDCSkew     time.Duration `name:"oidc-skew" help:"With --auth=oidc: how far the issuer's clock may be from ours, up to ${max_skew}." default:"${skew}"`
}

func (f authFlags) access() access.Config {
	skew := f.OIDCSkew
	if skew == 0 {
		skew = -1 // none: in the Config, 0 is the default
	}
	return access.Config{
		Mode: access.Mode(f.Mode), TokensFile: f.TokensFile,
		OIDC: access.OIDCConfig{Issuer: f.OIDCIssuer, Audience: f.OIDCAudience, File: f.OIDCConfig, CAFile: f.OIDCCAFile, Skew: skew},
	}
}
