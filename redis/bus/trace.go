package bus

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

// tracerName is the import path, as the scope of the spans.
const tracerName = "github.com/atlhyper/observe/redis/bus"

// The lists of commands are one destination; which of them is an attribute.
const (
	destination = "atlhyper:{cluster}:commands"
	sendName    = "send " + destination
	processName = "process " + destination
)

// messaging are the attributes of both ends.
func messaging(cluster key.Cluster, operation attribute.KeyValue) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("redis"), operation, semconv.MessagingOperationName(operation.Value.AsString()),
		semconv.MessagingDestinationTemplate(destination), semconv.MessagingDestinationName(cluster.Commands()),
		span.Cluster.String(string(cluster)),
	}
}

// traceAsk begins the span of a request; it ends when the caller has its answer.
func (c *Client) traceAsk(ctx context.Context, cluster key.Cluster, req Request) (context.Context, trace.Span) {
	ctx, s := c.tracer.Start(ctx, sendName, trace.WithSpanKind(trace.SpanKindProducer))
	if s.IsRecording() {
		s.SetAttributes(messaging(cluster, semconv.MessagingOperationTypeSend)...)
		s.SetAttributes(span.Kind.String(string(req.Kind)), semconv.MessagingClientID(c.cfg.Replica))
	}
	return ctx, s
}

func traceMessage(s trace.Span, id string, bytes int) {
	if s.IsRecording() {
		s.SetAttributes(semconv.MessagingMessageID(id), semconv.MessagingMessageBodySize(bytes))
	}
}

func endAsk(s trace.Span, reply Reply, err error) {
	if s.IsRecording() {
		s.SetAttributes(span.Shared.Bool(reply.Shared))
		if reply.Agent != "" {
			s.SetAttributes(span.Agent.String(reply.Agent))
		}
		span.Fail(s, err)
	}
	s.End()
}

// traceRun begins the span of a command that this agent runs; it ends when its reply is
// delivered.
func (s *Server) traceRun(ctx context.Context, c claim) (context.Context, trace.Span) {
	ctx, sp := s.tracer.Start(ctx, processName, trace.WithSpanKind(trace.SpanKindConsumer))
	if !sp.IsRecording() {
		return ctx, sp
	}
	sp.SetAttributes(messaging(s.cfg.Cluster, semconv.MessagingOperationTypeProcess)...)
	sp.SetAttributes(
		semconv.MessagingClientID(s.cfg.Instance), semconv.MessagingMessageID(c.cmd.ID), semconv.MessagingMessageBodySize(len(c.raw)),
		span.Kind.String(bounded(string(c.cmd.Kind), maxID)),
	)
	if c.cmd.RequestID != "" {
		sp.SetAttributes(span.RequestID.String(c.cmd.RequestID))
	}
	if wait, ok := c.waited(); ok {
		sp.SetAttributes(span.QueueWait.Int64(wait.Milliseconds()))
	}
	return ctx, sp
}

// waited is how long the command was on its way to this run; false when its master does
// not say when that began.
func (c claim) waited() (time.Duration, bool) {
	if c.cmd.SentAt <= 0 || c.cmd.SentAt > maxDeadline {
		return 0, false
	}
	return max(c.at.Sub(time.UnixMilli(c.cmd.SentAt)), 0), true
}

// endRun says on the span what was answered; cause is why the run was ended, if it was.
func endRun(sp trace.Span, reply Reply, cause error) {
	switch {
	case cause == errCanceled: //nolint:errorlint // it is our own, as it is
		span.Fail(sp, context.Canceled)
	case reply.Code != "":
		span.Fail(sp, fault.New(reply.Code, "%s", reply.Message))
	}
	sp.End()
}
