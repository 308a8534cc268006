package kube

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/atlhyper/observe/shared/model"
)

const (
	// eventAge is how old an event may be, by when it happened last.
	eventAge = time.Hour
	// maxEvents is how many are shown, the newest.
	maxEvents = 2000
	// maxMessage bounds an event's message in bytes; what the API server allows is 1,024.
	maxMessage = 512
)

// event is an event and when it happened last.
type event struct {
	last  time.Time
	shown *model.KubeEvent
}

// showEvent reads both generations of events: those that count themselves, and those
// of a series.
func showEvent(e *corev1.Event) *event {
	first, last, count := e.FirstTimestamp.Time, e.LastTimestamp.Time, int64(e.Count)
	if e.EventTime.After(last) {
		last = e.EventTime.Time
	}
	if s := e.Series; s != nil {
		count = int64(s.Count)
		if s.LastObservedTime.After(last) {
			last = s.LastObservedTime.Time
		}
	}
	if last.IsZero() {
		last = e.CreationTimestamp.Time
	}
	if first.IsZero() {
		first = cmp.Or(e.EventTime.Time, last)
	}
	about := e.InvolvedObject
	shown := &model.KubeEvent{
		Namespace: e.Namespace, Name: e.Name, Type: e.Type, Reason: e.Reason, Message: clip(e.Message, maxMessage),
		Count: max(1, count), FirstTimestamp: model.NewTime(first), LastTimestamp: model.NewTime(last),
		InvolvedObject: model.KubeRef{Kind: about.Kind, Name: about.Name},
		Component:      cmp.Or(e.Source.Component, e.ReportingController),
	}
	if about.Namespace != e.Namespace {
		shown.InvolvedObject.Namespace = about.Namespace
	}
	return &event{last: last, shown: shown}
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const sign = "…"
	end := n - len(sign)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + sign
}

// events makes the row's section the newest events of the last hour, newest first.
func events(k kind) kind {
	k.value = func(items []*item, now time.Time) (any, time.Time) {
		recent := slices.DeleteFunc(list[event](items), func(e *event) bool { return now.Sub(e.last) >= eventAge })
		// The list is by namespace and name, so that ties have an order, too.
		slices.SortStableFunc(recent, func(a, b *event) int { return b.last.Compare(a.last) })
		recent = recent[:min(len(recent), maxEvents)]
		out := make([]*model.KubeEvent, len(recent))
		for i, e := range recent {
			out[i] = e.shown
		}
		if len(recent) == 0 {
			return out, time.Time{}
		}
		return out, recent[len(recent)-1].last.Add(eventAge)
	}
	return k
}
