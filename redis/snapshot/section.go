package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// section is what the writer knows of one section.
type section struct {
	last Update // of the last collection; Data is not kept
	good value  // of the last collection that succeeded
	held said   // what meta says in Redis; nil when that is not known
	// heldAt is the good.at that Redis holds. It is written once: translated to
	// Redis's clock again, it would wander by the error of that clock.
	heldAt time.Time
}

// said is what meta says of a section. What it does not have is left as it is.
type said map[key.SectionField]field

// field is one field of a section in meta: a number of columns, a text, or not there.
type field struct {
	there  bool
	number int64
	text   string
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
			stored, codec, err := w.zstd.pack(data, cmp.Or(u.CompressAbove, w.cfg.CompressAbove))
			if err != nil {
				return fmt.Errorf("snapshot: section %s: %w", u.Name, err)
			}
			s.good = value{bytes: stored, codec: codec, plain: len(data), hash: hash}
		}
		s.good.at = u.At
	}
	s.last = u
	return nil
}

// say is what meta is to say of the section. Of a value that this writer never had it
// says nothing: there may be one of the agent before.
func (s *section) say(clock *conn.Clock, interval time.Duration) said {
	number := func(n int64, there bool) field {
		if !there {
			return field{}
		}
		return field{there: true, number: min(max(n, 0), maxMetaInt)}
	}
	text := func(t string) field { return field{there: t != "", text: t} }
	decimal := func(n int64, there bool) field {
		if !there {
			return field{}
		}
		return text(strconv.FormatInt(min(max(n, 0), maxMetaInt), 10))
	}
	read := s.last.Reads != Reads{}
	now := said{
		key.FieldTook:       number(s.last.Took.Milliseconds(), true),
		key.FieldStatements: decimal(s.last.Reads.Statements, read),
		key.FieldRowsRead:   number(s.last.Reads.Rows, read),
		key.FieldBytesRead:  number(s.last.Reads.Bytes, read),
		key.FieldError:      text(s.last.Err),
		key.FieldWindow:     decimal(int64(s.last.Window/time.Second), s.last.Window > 0),
		key.FieldInterval:   decimal(s.last.Interval.Milliseconds(), s.last.Interval > 0 && s.last.Interval != interval),
	}
	if s.good.hash == "" {
		return now
	}
	now[key.FieldBytes] = decimal(int64(s.good.plain), true)
	now[key.FieldHash] = text(s.good.hash)
	now[key.FieldCodec] = text(s.good.codec)
	if at, held := s.held[key.FieldAt]; held && s.good.at.Equal(s.heldAt) {
		now[key.FieldAt] = at
	} else {
		now[key.FieldAt] = number(clock.At(s.good.at).UnixMilli(), true)
	}
	return now
}

// commit notes what is in Redis.
func (s *section) commit(now said) { s.held, s.heldAt = now, s.good.at }

// forget notes that nobody knows what is.
func (s *section) forget() { s.held, s.heldAt = nil, time.Time{} }

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
