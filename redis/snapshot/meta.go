package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// staleIntervals is how many intervals old a section may be.
	staleIntervals = 3
	// maxMetaInt is what a float64, and so a script, holds exactly.
	maxMetaInt = int64(1) << 53
	// maxSections bounds the sections of one cluster that are listed.
	maxSections = 512
)

// metaMap is the meta hash, or the fields of it that were asked for; absent
// fields are "".
type metaMap map[string]string

// headFields are the fields about the whole snapshot that are read.
func headFields() []string {
	return []string{key.MetaSchema, key.MetaSeq, key.MetaAt, key.MetaInterval}
}

// fieldsOf are the fields about one section.
func fieldsOf(name model.Section) []string {
	fields := make([]string, 0, len(key.SectionFields()))
	for _, f := range key.SectionFields() {
		fields = append(fields, key.Field(name, f))
	}
	return fields
}

// sectionFields are the fields that Section reads.
func sectionFields(name model.Section) []string { return append(headFields(), fieldsOf(name)...) }

// metaOf pairs the fields with the answer of HMGET.
func metaOf(fields []string, values []any) metaMap {
	m := make(metaMap, len(fields))
	for i, v := range values {
		if s, ok := v.(string); ok && i < len(fields) {
			m[fields[i]] = s
		}
	}
	return m
}

// checkSchema refuses another layout; no meta at all is fine.
func (m metaMap) checkSchema() error {
	schema := m[key.MetaSchema]
	if schema == "" || schema == key.SchemaVersion {
		return nil
	}
	return unreadable(nil, "the snapshot has layout %.20q and this build reads layout %q: agents and masters must be of matching versions",
		schema, key.SchemaVersion)
}

// integer reads a field that may be absent: then it is 0.
func (m metaMap) integer(field string) (int64, error) {
	text := m[field]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxMetaInt {
		return 0, unreadable(err, "the snapshot's meta field %s is not a number: %.40q", field, text)
	}
	return n, nil
}

func (m metaMap) milli(field string) (time.Time, error) {
	ms, err := m.integer(field)
	if err != nil || ms == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// publicText is what is shown of an error: an agent of another version may tell too much.
// A section that fails says the same for long, and is read every second and for each list
// of the clusters, so it is looked through once.
func (r *Reader) publicText(text string) string {
	if shown, ok := r.public.Get(text); ok {
		return shown
	}
	shown := fault.Public(text)
	r.public.Add(text, shown)
	return shown
}

// parseSection reads what meta says of a section, as of now.
func (r *Reader) parseSection(m metaMap, name model.Section, now time.Time) (SectionMeta, error) {
	if err := m.checkSchema(); err != nil {
		return SectionMeta{}, err
	}
	field := func(f key.SectionField) string { return key.Field(name, f) }
	var s SectionMeta
	var interval, sectionInterval, window, took int64
	for _, f := range []struct {
		name string
		to   *int64
	}{
		{field(key.FieldSeq), &s.Seq},
		{field(key.FieldBytes), &s.Bytes},
		{field(key.FieldWindow), &window},
		{field(key.FieldTook), &took},
		{field(key.FieldStatements), &s.Reads.Statements},
		{field(key.FieldRowsRead), &s.Reads.Rows},
		{field(key.FieldBytesRead), &s.Reads.Bytes},
		{key.MetaInterval, &interval},
		{field(key.FieldInterval), &sectionInterval},
	} {
		n, err := m.integer(f.name)
		if err != nil {
			return SectionMeta{}, err
		}
		*f.to = n
	}
	var err error
	if s.At, err = m.milli(field(key.FieldAt)); err != nil {
		return SectionMeta{}, err
	}
	if s.PublishedAt, err = m.milli(key.MetaAt); err != nil {
		return SectionMeta{}, err
	}
	if sectionInterval > 0 {
		interval = sectionInterval
	}
	s.Interval = millis(interval)
	s.Window = time.Duration(min(window, maxMillis/1000)) * time.Second
	s.Took = millis(took)
	if text := m[field(key.FieldError)]; text != "" {
		s.Error = r.publicText(boundText(text, maxError))
	}
	s.Hash = boundText(m[field(key.FieldHash)], maxSectionName)
	s.Codec = boundText(m[field(key.FieldCodec)], maxSectionName)
	if !s.At.IsZero() {
		s.Age = now.Sub(s.At)
	}
	// In the future lies what was collected before Redis's clock was set back.
	s.Stale = s.Error != "" || s.Interval > 0 && s.Age.Abs() > staleIntervals*s.Interval
	s.Age = max(s.Age, 0)
	return s, nil
}

func millis(n int64) time.Duration { return time.Duration(min(n, maxMillis)) * time.Millisecond }

// maxMillis keeps durations from overflowing: a year.
const maxMillis = int64(366 * 24 * time.Hour / time.Millisecond)

// sections finds the names in the whole meta hash.
func (m metaMap) sections() ([]model.Section, error) {
	known := make(map[string]bool)
	for _, f := range key.SectionFields() {
		known[string(f)] = true
	}
	seen := make(map[model.Section]bool)
	var names []model.Section
	for field := range m {
		dot := strings.LastIndexByte(field, '.')
		if dot < 0 || !known[field[dot+1:]] {
			continue
		}
		name := model.Section(field[:dot])
		if seen[name] || validateSection(name) != nil {
			continue
		}
		if len(names) == maxSections {
			return nil, fmt.Errorf("snapshot: meta names more than %d sections", maxSections)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}
