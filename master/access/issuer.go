package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/readfile"
)

const (
	// issuerIdle closes connections to the issuer: it is asked every few minutes.
	issuerIdle = 5 * time.Second
	// maxIssuerAnswer bounds what it says, in bytes.
	maxIssuerAnswer = 1 << 20
	// After a failure the issuer is asked again in this time, twice as long each time, up
	// to maxRetry.
	minRetry = time.Second
	maxRetry = 30 * time.Second
	maxCA    = 1 << 20 // bytes of a CA file
)

// issuerKeys are the keys of an issuer, as it said last.
type issuerKeys struct {
	issuer           string
	client           *http.Client
	refresh, refetch time.Duration
	timeout          time.Duration // of one question
	now              func() time.Time
	log              *slog.Logger

	set      atomic.Pointer[keySet] // nil until it has answered
	asking   singleflight.Group
	failures atomic.Int64 // of all questions

	mu    sync.Mutex
	next  time.Time     // when it may be asked again
	retry time.Duration // 0: it answered last
	why   error         // it did not
}

func newIssuerKeys(cfg OIDCConfig) (*issuerKeys, error) {
	client, err := issuerClient(cfg.CAFile, cfg.Timeout)
	if err != nil {
		return nil, err
	}
	k := &issuerKeys{
		issuer: cfg.Issuer, client: client, refresh: cfg.Refresh, refetch: cfg.Refetch, timeout: cfg.Timeout, now: cfg.Now, log: cfg.Logger,
	}
	return k, metric.Register(cfg.Metrics, []metric.Row{
		{Name: "auth_oidc_keys", Help: "Keys of the issuer that are known; 0 until it has answered.", Gauge: k.known},
		{Name: "auth_oidc_last_fetch_successful", Help: "Whether the issuer answered when it was asked for its keys last.", Gauge: k.answered},
		{Name: "auth_oidc_fetch_failures_total", Help: "Questions for its keys that the issuer did not answer.", Counter: &k.failures},
	})
}

func (k *issuerKeys) known() float64 {
	if set := k.set.Load(); set != nil {
		return float64(len(set.keys))
	}
	return 0
}

func (k *issuerKeys) answered() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.why == nil && k.set.Load() != nil {
		return 1
	}
	return 0
}

// run asks now and then, sooner after a failure, until ctx ends.
func (k *issuerKeys) run(ctx context.Context) error {
	defer k.client.CloseIdleConnections()
	for {
		wait := k.refresh
		if _, err := k.fetch(ctx); err != nil {
			wait = min(k.pause(), k.refresh)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// pause is how long the issuer is left alone after a failure.
func (k *issuerKeys) pause() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.retry, minRetry)
}

// fetch returns the keys of the issuer as they are now, or were when it was asked less
// than refetch ago: that many tokens name keys that nobody knows must not become as many
// questions. All who wait share one. The error is unavailable.
func (k *issuerKeys) fetch(ctx context.Context) (*keySet, error) {
	// Who hangs up must not take the answer from the others.
	answer := k.asking.DoChan("", func() (any, error) { return k.load(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-answer:
		if got.Err != nil {
			return nil, got.Err
		}
		set, ok := got.Val.(*keySet)
		if !ok {
			return nil, errors.New("access: no key set") // it is what load returns
		}
		return set, nil
	}
}

// load asks the issuer if it may.
func (k *issuerKeys) load(ctx context.Context) (*keySet, error) {
	k.mu.Lock()
	now := k.now()
	if wait := k.next.Sub(now); wait > 0 {
		why := k.why
		k.mu.Unlock()
		if why != nil {
			return nil, away(why, wait)
		}
		return k.set.Load(), nil
	}
	k.mu.Unlock()

	asked, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	set, err := k.ask(asked)

	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.failures.Add(1)
		if k.why == nil {
			k.log.WarnContext(ctx, "the OpenID Connect issuer cannot be asked for its keys; those of before stay", "issuer", k.issuer, "error", err)
		}
		k.why, k.retry = err, min(max(2*k.retry, minRetry), maxRetry)
		k.next = k.now().Add(k.retry)
		return nil, away(err, k.retry)
	}
	if before := k.set.Load(); before == nil || before.sum != set.sum {
		k.set.Store(set)
		k.log.InfoContext(ctx, "the OpenID Connect issuer has said its keys", "issuer", k.issuer, "keys", len(set.keys))
	}
	k.why, k.retry, k.next = nil, 0, k.now().Add(k.refetch)
	return k.set.Load(), nil
}

func away(err error, wait time.Duration) error {
	return fault.Wrap(err, fault.Unavailable, "credentials cannot be checked: the issuer that signs them does not answer").After(wait)
}

// ask reads the issuer's description (OpenID Connect Discovery 1.0, 4) and its keys.
func (k *issuerKeys) ask(ctx context.Context) (*keySet, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %.400w", err)
	}
	var described struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&described); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if err := checkKeysURL(k.issuer, described.Keys); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	data, err := k.get(ctx, described.Keys)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return parseKeys(data)
}

// checkKeysURL refuses keys that come less safely than their description.
func checkKeysURL(issuer, keys string) error {
	from, errFrom := url.Parse(issuer)
	to, errTo := url.Parse(keys)
	if errFrom != nil || errTo != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != from.Scheme {
		return fmt.Errorf("jwks_uri: %.200q is no https URL", keys)
	}
	return nil
}

func (k *issuerKeys) get(ctx context.Context, from string) (data []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(response.Body) // boundedAnswers bounds it
}

// issuerClient asks issuers.
func issuerClient(caFile string, timeout time.Duration) (*http.Client, error) {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: timeout,
		IdleConnTimeout:     issuerIdle,
		ForceAttemptHTTP2:   true,
	}
	if caFile != "" {
		pem, err := readfile.Regular(caFile, maxCA)
		if err != nil {
			return nil, fmt.Errorf("oidc CA file: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("oidc CA file: %s: has no PEM certificate", caFile)
		}
	}
	return &http.Client{
		Transport: boundedAnswers{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects; give the URL at which it answers")
		},
	}, nil
}

// boundedAnswers cuts answers that are too long: go-oidc reads what it is sent.
type boundedAnswers struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxIssuerAnswer)
	}
	return response, err
}
