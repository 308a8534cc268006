package event_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/atlhyper/observe/loadtest/k6/runner/event"
)

func all(t *testing.T, r io.Reader) (events []event.Event, err error) {
	t.Helper()
	reader := event.NewReader(r)
	for {
		e, err := reader.Next()
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	const (
		hello = ": hello\n"
		edges = "event: slo.edges\r\nid: 1.2\r\ndata: {\"a\":1}\r\n\r\n"
		lines = "data: one\ndata:two\ndata\n\n"
		badID = "id: bad\x00id\nunknown: x\n: inside\ndata: kept id\n\n"
	)
	stream := "retry: 2000\n\n" + hello + edges + lines + badID + // the first one is no event
		"event: nothing\n\n" + // nor is one without data
		"event: cut\ndata: by the end\n"
	want := []event.Event{
		{Data: "hello", Comment: true, Bytes: len(hello)},
		{Name: "slo.edges", Data: `{"a":1}`, LastID: "1.2", Bytes: len(edges)},
		{Name: "message", Data: "one\ntwo\n", LastID: "1.2", Bytes: len(lines)},
		{Name: "message", Data: "kept id", LastID: "1.2", Bytes: len(badID)},
	}
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(stream), "by bytes": iotest.OneByteReader(strings.NewReader(stream)),
	} {
		got, err := all(t, r)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: ended with %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	got, err := all(t, strings.NewReader("data: "+long+"\n\n"))
	if !errors.Is(err, io.EOF) || len(got) != 1 || got[0].Data != long {
		t.Errorf("%d events, %v", len(got), err)
	}
	if _, err := all(t, strings.NewReader("data: "+strings.Repeat("x", event.MaxBytes))); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	if _, err := all(t, strings.NewReader(strings.Repeat("data: 0123456789\n", event.MaxBytes/16))); !errors.Is(err, event.ErrTooLarge) {
		t.Errorf("too many lines: %v", err)
	}
}

// What an event is does not depend on how the stream is cut into reads.
func FuzzReader(f *testing.F) {
	f.Add("event: a\nid: 1\ndata: {}\n\n: beat\n\ndata: b\r\n\r\n")
	f.Fuzz(func(t *testing.T, stream string) {
		whole, err1 := all(t, strings.NewReader(stream))
		bytewise, err2 := all(t, iotest.OneByteReader(strings.NewReader(stream)))
		if !reflect.DeepEqual(whole, bytewise) || !errors.Is(err1, io.EOF) || !errors.Is(err2, io.EOF) {
			t.Errorf("%+v (%v) and %+v (%v)", whole, err1, bytewise, err2)
		}
	})
}
