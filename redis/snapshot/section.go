package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// section is what the writer knows of one section.
type section struct {
	last   Update // of the last collection; Data is not kept
	dirty  bool   // last is not in Redis yet
	good   value  // of the last collection that succeeded
	stored string // hash of the value that Redis holds; "" for none
	// storedAt is the good.at that Redis holds. It is written once: translated to
	// Redis's clock again, it would wander by the error of that clock.
	storedAt time.Time
}

// value is a section's value as it lies in Redis.
type value struct {
	bytes []byte // plain or compressed
	codec string // "" or codecZstd
	plain int    // length as plain msgpack
	hash  string // of the plain msgpack
	at    time.Time
}

// maxSectionName keeps names short enough for logs and events.
const maxSectionName = 64

func (u Update) validate() error {
	if err := validateSection(u.Name); err != nil {
		return err
	}
	if u.Data == nil && u.Err == "" {
		return fmt.Errorf("snapshot: section %s: an update has neither data nor an error", u.Name)
	}
	return nil
}

func validateSection(name model.Section) error {
	if name == "" || len(name) > maxSectionName {
		return fmt.Errorf("section: must have 1 to %d characters", maxSectionName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("section: may hold only a-z, 0-9, '.', '-' and '_', not %q", c)
		}
	}
	return nil
}

func (w *Writer) names() []model.Section { return slices.Sorted(maps.Keys(w.sections)) }

// absorb takes an update over.
func (w *Writer) absorb(u Update) error {
	s := w.sections[u.Name]
	if s == nil {
		s = &section{}
		w.sections[u.Name] = s
	}
	data := u.Data
	u.Data, u.Err = nil, boundText(u.Err, maxError)
	if data != nil {
		sum := sha256.Sum256(data)
		hash := hex.EncodeToString(sum[:16])
		if hash != s.good.hash {
			stored, codec, err := w.zstd.pack(data, w.cfg.CompressAbove)
			if err != nil {
				return fmt.Errorf("snapshot: section %s: %w", u.Name, err)
			}
			s.good = value{bytes: stored, codec: codec, plain: len(data), hash: hash}
		}
		s.good.at = u.At
	}
	s.last, s.dirty = u, true
	return nil
}

// plan adds the section to a publish.
func (s *section) plan(p *plan, name model.Section) {
	field := func(f key.SectionField) string { return key.Field(name, f) }
	send := s.good.hash != s.stored
	switch {
	case send:
		p.values = append(p.values, string(name), s.good.bytes)
		p.written = append(p.written, name)
		p.bytes += len(s.good.bytes)
		p.fields = append(p.fields, field(key.FieldBytes), s.good.plain, field(key.FieldHash), s.good.hash)
		if s.good.codec == "" {
			p.gone = append(p.gone, field(key.FieldCodec))
		} else {
			p.fields = append(p.fields, field(key.FieldCodec), s.good.codec)
		}
	case s.stored != "":
		p.expected = append(p.expected, string(name), s.stored)
	}
	if !send && !s.dirty {
		return
	}
	if s.good.hash != "" && !s.good.at.Equal(s.storedAt) {
		p.fields = append(p.fields, field(key.FieldAt), p.clock.At(s.good.at).UnixMilli())
	}
	p.fields = append(p.fields, field(key.FieldTook), s.last.Took.Milliseconds())
	p.reads(field, s.last.Reads)
	p.optional(field(key.FieldError), s.last.Err, s.last.Err != "")
	p.optional(field(key.FieldWindow), int64(s.last.Window/time.Second), s.last.Window > 0)
	p.optional(field(key.FieldInterval), s.last.Interval.Milliseconds(), s.last.Interval > 0 && s.last.Interval != p.defaultInterval)
}

// reads writes what a collection read, or that it said nothing.
func (p *plan) reads(field func(key.SectionField) string, r Reads) {
	said := r != Reads{}
	for _, n := range []struct {
		field key.SectionField
		value int64
	}{{key.FieldStatements, r.Statements}, {key.FieldRowsRead, r.Rows}, {key.FieldBytesRead, r.Bytes}} {
		p.optional(field(n.field), min(max(n.value, 0), maxMetaInt), said)
	}
}

// optional writes a field or sees to it that there is none.
func (p *plan) optional(field string, value any, there bool) {
	if there {
		p.fields = append(p.fields, field, value)
	} else {
		p.gone = append(p.gone, field)
	}
}

// commit notes that all of it is in Redis.
func (s *section) commit() { s.stored, s.storedAt, s.dirty = s.good.hash, s.good.at, false }

// forget notes that nothing of it is.
func (s *section) forget() { s.stored, s.storedAt, s.dirty = "", time.Time{}, true }

// boundText cuts s to n bytes at a character's end and replaces what is not UTF-8.
func boundText(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
