// Package beat is how an agent's beat lies in Redis: a field of the cluster's
// agents hash. Go and the scripts of redis/snapshot and redis/bus read the same
// bytes.
//
// A beat is a msgpack map of three: at (13 digits, ms on Redis's clock, put in by
// the script that writes it), state and beat (a map). at and state come first and
// have a fixed length, so that scripts find them without a msgpack library, while
// stock cmsgpack.unpack reads the whole.
package beat

import (
	"crypto/sha1" //nolint:gosec // see Digest
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/atlhyper/observe/shared/codec"
)

// Beat is what an agent says about itself.
type Beat struct {
	// Version is its build.
	Version string
	// Slots is how many commands it runs at a time, Busy how many it does.
	Slots, Busy int
	// StartedAt is when it started.
	StartedAt time.Time
	// PublishedAt is its last publish on Redis's clock; zero for none yet. The
	// Writer fills it in.
	PublishedAt time.Time
	// Interval is between its publishes. The Writer fills it in.
	Interval time.Duration
	// Leaving says that it takes no more commands and finishes those it has.
	Leaving bool
	// Leads says that it was elected to publish, by who knows more than Redis: the others
	// need not collect.
	Leads bool
}

// body is Beat on the wire.
type body struct {
	Version     string `json:"version"`
	Slots       int64  `json:"slots"`
	Busy        int64  `json:"busy"`
	StartedAt   int64  `json:"startedAt"`   // ms
	PublishedAt int64  `json:"publishedAt"` // ms, 0 for none
	Interval    int64  `json:"interval"`    // ms
	Leads       bool   `json:"leads,omitempty"`
}

// The states.
const (
	running = "r"
	leaving = "l"
)

const (
	prefix    = "\x83\xa2at\xad"    // a map of three, "at", a string of 13
	middle    = "\xa5state\xa1"     // "state", a string of 1
	suffix    = "\xa4beat"          // "beat", then the map
	atDigits  = 13                  // until the year 2286
	headBytes = 26 + len(suffix)    // up to the map
	maxBytes  = 4 << 10             // of a beat
	maxMilli  = 9_999_999_999_999.0 // what the digits hold
)

// Lua defines for a script: now_parts() the seconds and microseconds of Redis's
// clock, now_ms() its milliseconds, beat_value(ms, state, body) the value to write,
// beat_renewed(value, ms) the same beat at another time, nil when value is none,
// beat_digest(value) its Digest, and beat_live(value, ms, expiry) the state of a beat
// not older than expiry ms, else nil. A beat from the future is as dead as one from the
// past.
const Lua = `
local function now_parts() local t = redis.call('TIME'); return tonumber(t[1]), tonumber(t[2]) end
local function now_ms() local s, us = now_parts(); return s * 1000 + math.floor(us / 1000) end
local function beat_value(ms, state, body)
  return '\131\162at\173' .. string.format('%013.0f', ms) .. '\165state\161' .. state .. '\164beat' .. body
end
local function is_beat(value)
  return string.sub(value, 1, 5) == '\131\162at\173' and string.sub(value, 19, 25) == '\165state\161'
end
local function beat_renewed(value, ms)
  if not is_beat(value) then return nil end
  return string.sub(value, 1, 5) .. string.format('%013.0f', ms) .. string.sub(value, 19)
end
local function beat_digest(value) return string.sub(redis.sha1hex(string.sub(value, 19)), 1, 16) end
local function beat_live(value, ms, expiry)
  if not is_beat(value) then return nil end
  local digits = string.sub(value, 6, 18)
  if not string.find(digits, '^%d+$') then return nil end
  if math.abs(ms - tonumber(digits)) > expiry then return nil end
  return string.sub(value, 26, 26)
end
`

// Args are the arguments state and body of beat_value.
func (b Beat) Args() (state string, encoded []byte, err error) {
	state = running
	if b.Leaving {
		state = leaving
	}
	encoded, err = codec.Encode(body{
		Version: b.Version, Slots: int64(b.Slots), Busy: int64(b.Busy),
		StartedAt: milli(b.StartedAt), PublishedAt: milli(b.PublishedAt), Interval: b.Interval.Milliseconds(),
		Leads: b.Leads,
	})
	if err != nil {
		return "", nil, fmt.Errorf("beat: %w", err)
	}
	if headBytes+len(encoded) > maxBytes {
		return "", nil, fmt.Errorf("beat: %d bytes are more than %d", headBytes+len(encoded), maxBytes)
	}
	return state, encoded, nil
}

// Digest tells beats apart by all but their time: what the scripts' beat_digest makes
// of a beat with these Args.
func Digest(state string, encoded []byte) string {
	sum := sha1.Sum(slices.Concat([]byte(middle+state+suffix), encoded)) //nolint:gosec // no secret: scripts have no other digest
	return hex.EncodeToString(sum[:8])
}

// Value is what the scripts' beat_value makes of b at a time on Redis's clock.
func (b Beat) Value(at time.Time) (string, error) {
	state, encoded, err := b.Args()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%0*d%s%s%s%s", prefix, atDigits, at.UnixMilli(), middle, state, suffix, encoded), nil
}

var errShape = errors.New("beat: is not one of this version")

// Decode reads a value of the agents hash: the beat and when it was written.
func Decode(value string) (Beat, time.Time, error) {
	if len(value) > maxBytes || len(value) < headBytes {
		return Beat{}, time.Time{}, fmt.Errorf("beat: %d bytes are not between %d and %d", len(value), headBytes, maxBytes)
	}
	if value[:5] != prefix || value[18:25] != middle || value[26:headBytes] != suffix {
		return Beat{}, time.Time{}, errShape
	}
	at, err := strconv.ParseUint(value[5:5+atDigits], 10, 63)
	state := value[25:26]
	if err != nil || at == 0 || state != running && state != leaving {
		return Beat{}, time.Time{}, errShape
	}
	var b body
	if err := codec.Decode([]byte(value[headBytes:]), &b); err != nil {
		return Beat{}, time.Time{}, fmt.Errorf("beat: %w", err)
	}
	for _, n := range []int64{b.Slots, b.Busy, b.StartedAt, b.PublishedAt, b.Interval} {
		if n < 0 || float64(n) > maxMilli {
			return Beat{}, time.Time{}, fmt.Errorf("beat: a number is out of bounds: %d", n)
		}
	}
	return Beat{
		Version: b.Version, Slots: int(b.Slots), Busy: int(b.Busy),
		StartedAt: fromMilli(b.StartedAt), PublishedAt: fromMilli(b.PublishedAt),
		Interval: time.Duration(b.Interval) * time.Millisecond, Leaving: state == leaving, Leads: b.Leads,
	}, fromMilli(int64(at)), nil
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
