package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// heldOverhead is what a held section takes besides its bodies, in bytes: about.
const heldOverhead = 1 << 10

// held is one section of a cluster as this replica holds it.
type held struct {
	name model.Section

	// Requests on a warm section read these and nothing else. answer may be given until
	// valid; both are written with the entry's lock held, answer first.
	answer atomic.Pointer[Answer]
	valid  atomic.Int64 // instant
	used   atomic.Int64 // instant of the last request

	// The entry's lock guards the rest.

	meta    snapshot.SectionMeta // of the value that is held, or why there was none
	data    []byte               // its JSON, a part of the answer's body once there is one
	there   bool                 // a value is held
	counts  counts               // what a summary says
	checked int64                // the publish as of which all this is known; 0: ask again
	until   instant              // when the TTL of the last snapshot that held it ends
	lost    string               // why Redis holds it no more; "" when it does
	err     error                // why there is no value, or none that can be read
	said    saying               // what the answer says
	dirty   bool                 // the answer is not of this value and meta
	built   instant              // when the answer was made
	loads   int                  // requests that wait for it: it must stay
	shown   instant              // when the fleet last showed it
	size    int64                // what was counted for it
	huge    bool                 // it is larger than the whole cache: it goes, and is not counted
}

// saying is what an answer says besides its value and when that was collected.
type saying struct {
	status snapshot.Status
	stale  bool
	reason string
}

// pinned tells whether the fleet shows the section: then it stays.
func (h *held) pinned(now instant) bool { return now.sub(h.shown) <= fleetIdle }

// hash of the value that is held, to be told apart from the next one.
func (h *held) hash() string {
	if !h.there {
		return ""
	}
	return h.meta.Hash
}

// take takes over what Redis says of the section; until is when the TTL ends of the
// snapshot that holds it.
func (h *held) take(found snapshot.Found, seq int64, until instant) {
	h.checked = seq
	err := found.Err
	if err == nil && h.there && found.Meta.Seq < h.meta.Seq {
		err = fault.New(fault.StoreUnavailable, "Redis holds an older value than this one")
	}
	if err == nil && !found.Same {
		err = h.transcode(found)
	}
	if err != nil {
		h.err, h.lost = err, fault.From(err).Message
		if !h.there {
			h.meta = found.Meta // what it says of the failure
		}
		return
	}
	h.dirty = h.dirty || !found.Same || !h.saysAlike(found.Meta)
	h.meta, h.until, h.lost, h.err = found.Meta, until, "", nil
}

// saysAlike tells whether an answer made with that meta is the same, but for what is
// judged at each moment: its age is another one each time.
func (h *held) saysAlike(m snapshot.SectionMeta) bool {
	return h.meta.At.Equal(m.At) && h.meta.Window == m.Window && h.meta.Seq == m.Seq && h.meta.Hash == m.Hash
}

// transcode turns a value into JSON.
func (h *held) transcode(found snapshot.Found) error {
	packed, err := found.Value.Data()
	if err != nil {
		return err
	}
	// JSON of our data is a little larger than its msgpack: quotes, commas, digits.
	data, err := codec.ToJSON(make([]byte, 0, len(packed)+len(packed)/2), packed)
	if err != nil {
		return fault.Wrap(err, fault.StoreUnavailable, "section %s cannot be read", h.name)
	}
	h.data, h.there, h.counts = data, true, countsIn(h.name, packed)
	return nil
}

// drop forgets the value.
func (h *held) drop() {
	h.valid.Store(0)
	h.answer.Store(nil)
	h.meta, h.data, h.there, h.counts, h.checked, h.lost, h.err = snapshot.SectionMeta{}, nil, false, counts{}, 0, "", nil
}

// build makes the answer anew, around the same data if that is still the value.
func (s *Service) build(e *entry, h *held, say saying) error {
	meta := envelope.Meta{
		ClusterID:     string(e.cluster),
		CollectedAt:   model.NewTime(h.meta.At),
		WindowSeconds: int64(h.meta.Window / time.Second),
		Seq:           h.meta.Seq,
		Stale:         say.stale,
		Error:         envelope.Clip(say.reason),
		ClusterStatus: string(say.status),
	}
	body, inside, err := envelope.FromJSON(h.data, meta)
	if err != nil {
		return err
	}
	tag, err := etag(h, meta)
	if err != nil {
		return err
	}
	answer := NewAnswer(Content{
		Body: body, Data: inside, Hash: h.meta.Hash, ETag: tag, Meta: meta, CollectedAt: h.meta.At, Window: h.meta.Window,
	}, s.compressor)
	answer.inherit(h.answer.Load())
	// Who asked for a form of the last answer will ask for that of this one.
	if old := h.answer.Load(); old != nil && instant(h.used.Load()) > h.built {
		for _, enc := range old.Made() {
			if _, err := answer.Form(enc); err != nil {
				return fmt.Errorf("encode: %w", err)
			}
		}
	}
	h.data, h.said, h.built, h.dirty = inside, say, s.now(), false
	h.answer.Store(answer)
	s.resize(h)
	return nil
}

// resize counts what the section occupies now.
func (s *Service) resize(h *held) {
	size := int64(0)
	if answer := h.answer.Load(); answer != nil {
		size = answer.Bytes() + heldOverhead
	}
	if h.huge = size > s.cfg.CacheBytes; h.huge {
		size = 0
	}
	s.bytes.Add(size - h.size)
	h.size = size
}

// etag is made of the publish and of a digest over all that the body is made of:
// the data, by its hash, and the meta.
func etag(h *held, meta envelope.Meta) (string, error) {
	text, err := json.Marshal(meta)
	if err != nil {
		return "", fmt.Errorf("etag: %w", err)
	}
	digest := sha256.New()
	if h.meta.Hash != "" {
		digest.Write([]byte(h.meta.Hash))
	} else {
		digest.Write(h.data)
	}
	digest.Write(text)
	return fmt.Sprintf("%d-%s", meta.Seq, hex.EncodeToString(digest.Sum(nil)[:8])), nil
}
