package tracing

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The variables that are read here; the SDK and the exporters read the others.
const (
	envDisabled       = "OTEL_SDK_DISABLED"
	envExporter       = "OTEL_TRACES_EXPORTER"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envSampler        = "OTEL_TRACES_SAMPLER"
	envSamplerArg     = "OTEL_TRACES_SAMPLER_ARG"
	envPropagators    = "OTEL_PROPAGATORS"
)

const (
	exporterNone    = "none"
	exporterOTLP    = "otlp"
	exporterConsole = "console"

	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

// settings are what is not left to the SDK.
type settings struct {
	exporter    string
	protocol    string   // "" unless it is OTLP
	unsupported []string // propagators
}

// variable is the value of the first that is set; the specification says that one which
// is empty is not.
func variable(names ...string) (name, value string) {
	for _, name := range names {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// oneOf checks that a variable is one of those known, "" included.
func oneOf(name, value string, known ...string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s: %.40q is not supported; it may be %s", name, value, strings.Join(known, ", "))
}

// readSettings checks the variables. Nothing is exported unless somebody asked for it:
// with the exporter, or with where it sends to.
func readSettings() (settings, error) {
	off := settings{exporter: exporterNone}
	if _, disabled := variable(envDisabled); strings.EqualFold(disabled, "true") {
		return off, nil
	}
	_, exporter := variable(envExporter)
	if err := oneOf(envExporter, exporter, exporterOTLP, exporterConsole, exporterNone); err != nil {
		return off, err
	}
	if exporter == "" {
		if _, endpoint := variable(envTracesEndpoint, envEndpoint); endpoint == "" {
			return off, nil
		}
		exporter = exporterOTLP
	}
	set := settings{exporter: exporter}
	if exporter == exporterNone {
		return set, nil
	}
	if exporter == exporterOTLP {
		name, protocol := variable(envTracesProtocol, envProtocol)
		if err := oneOf(name, protocol, protocolHTTP, protocolGRPC); err != nil {
			return off, err
		}
		if set.protocol = protocol; protocol == "" {
			set.protocol = protocolHTTP
		}
		if err := checkOTLP(set.protocol); err != nil {
			return off, err
		}
	}
	if _, propagators := variable(envPropagators); propagators != "" {
		for name := range strings.SplitSeq(propagators, ",") {
			if name = strings.TrimSpace(name); name != "tracecontext" && name != "baggage" {
				set.unsupported = append(set.unsupported, strconv.Quote(name))
			}
		}
	}
	return set, checkSampler()
}

// checkSampler refuses what the SDK would replace by its default.
func checkSampler() error {
	_, sampler := variable(envSampler)
	sampler = strings.ToLower(sampler)
	err := oneOf(envSampler, sampler, "always_on", "always_off", "traceidratio",
		"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")
	if err != nil || !strings.HasSuffix(sampler, "traceidratio") {
		return err
	}
	_, arg := variable(envSamplerArg)
	if arg == "" {
		return nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return fmt.Errorf("%s: %.40q is no number between 0 and 1", envSamplerArg, arg)
	}
	return nil
}

// open returns the exporter; it connects later.
func (s settings) open(ctx context.Context) (sdktrace.SpanExporter, error) {
	switch {
	case s.exporter == exporterConsole:
		return stdouttrace.New()
	case s.protocol == protocolGRPC:
		return otlptracegrpc.New(ctx)
	default:
		return otlptracehttp.New(ctx)
	}
}
