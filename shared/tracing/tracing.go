// Package tracing sets up OpenTelemetry's SDK from the standard OTEL_* variables, for the
// traces that the product makes of itself. It is the only importer of the SDK; everything
// else takes a trace.TracerProvider. ADR 22 says what of the variables is supported.
//
//	OTEL_SDK_DISABLED                   true: no traces
//	OTEL_TRACES_EXPORTER                otlp, console, none; by default none, or otlp when an endpoint is set
//	OTEL_EXPORTER_OTLP[_TRACES]_*       ENDPOINT, PROTOCOL (http/protobuf, grpc), HEADERS, TIMEOUT, CERTIFICATE, ...
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
//	OTEL_TRACES_SAMPLER[_ARG]           by default parentbased_always_on
//	OTEL_BSP_*, OTEL_SPAN_*             of the batches and the limits of a span
//	OTEL_PROPAGATORS                    W3C traceparent only; any other is warned of
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says who makes the traces.
type Config struct {
	// Service is the service's name where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
	// give none. Required.
	Service string
	// Version is this build; "" is left out.
	Version string
	// FlushTimeout bounds how long Shutdown tries to hand over what is left. 0 means 3 s.
	FlushTimeout time.Duration
	// Logger is told what is exported where, and when that fails. nil means none.
	Logger *slog.Logger
}

// Traces are those of one process.
type Traces struct {
	provider *sdktrace.TracerProvider // nil when they are off
	flush    time.Duration
}

// Start reads the variables. It does not connect: a collector that is away is logged, and
// the spans that it misses are dropped. Errors name the variable that cannot be used.
func Start(ctx context.Context, cfg Config) (*Traces, error) {
	if cfg.Service == "" {
		return nil, errors.New("tracing: Service is required")
	}
	if cfg.FlushTimeout == 0 {
		cfg.FlushTimeout = 3 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	set, err := readSettings()
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	t := &Traces{flush: cfg.FlushTimeout}
	if set.exporter == exporterNone {
		return t, nil
	}
	who, err := describe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	exporter, err := set.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing: %s: %w", envExporter, err)
	}
	// The sampler, the batches and the limits are the SDK's own reading of the variables.
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithResource(who), sdktrace.WithBatcher(newReporting(exporter, cfg.Logger)))
	cfg.Logger.InfoContext(ctx, "traces are exported", "exporter", set.exporter, "protocol", set.protocol, "resource", who.String())
	for _, name := range set.unsupported {
		cfg.Logger.WarnContext(ctx, "a propagator is not supported; traces go on by W3C traceparent alone", "propagator", name)
	}
	return t, nil
}

// describe is the process as spans show it; the variables win.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	own := []resource.Option{
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName(cfg.Service), semconv.ServiceInstanceID(uuid.NewString())),
	}
	if cfg.Version != "" {
		own = append(own, resource.WithAttributes(semconv.ServiceVersion(cfg.Version)))
	}
	who, err := resource.New(ctx, append(own, resource.WithFromEnv())...)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return who, nil
}

// Provider is for the Configs of others; nil, which they take for none, when traces are
// off.
func (t *Traces) Provider() trace.TracerProvider {
	if t.provider == nil {
		return nil
	}
	return t.provider
}

// Shutdown hands over what is left, as long as FlushTimeout allows: also when ctx is done,
// which is when a process ends. It may be called again.
func (t *Traces) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.flush)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: the last spans were not exported: %w", err)
	}
	return nil
}
