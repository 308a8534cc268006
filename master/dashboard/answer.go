package dashboard

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/envelope"
)

// Content is what an Answer is made of.
type Content struct {
	// Body is the whole JSON body.
	Body []byte
	// Data is the part of Body that is the section's value.
	Data []byte
	// Hash identifies Data: equal hashes, equal bytes; "" tells nothing.
	Hash string
	// ETag is the opaque part of a strong entity tag: it changes when a byte of
	// Body does, and replicas that hold the same snapshot agree on it.
	ETag string
	// Meta is the meta of Body.
	Meta envelope.Meta
	// CollectedAt is when the section was collected, on Redis's clock.
	CollectedAt time.Time
	// Window is the length of telemetry that the section speaks of; 0 for none.
	Window time.Duration
}

// Answer is a ready response, shared by its readers: not to be changed. Its
// compressed forms are made on first demand, once.
type Answer struct {
	content    Content
	compressor *compress.Compressor
	tags       [compress.Encodings]string // header values, quoted
	forms      [compress.Encodings]atomic.Pointer[Form]
	derived    atomic.Pointer[derived]
	bytes      atomic.Int64
	making     sync.Mutex
}

// Form is an answer's body in one encoding. The header values are ready made, so
// that sending them allocates nothing.
type Form struct {
	Body            []byte
	ETag            []string // quoted
	ContentLength   []string
	ContentEncoding []string // nil for identity
}

// NewAnswer returns the answer of a content.
func NewAnswer(content Content, compressor *compress.Compressor) *Answer {
	a := &Answer{content: content, compressor: compressor}
	// Bodies that differ in a byte have different tags, so the encoding is part of it.
	a.tags[compress.Identity] = `"` + content.ETag + `"`
	for enc := compress.Identity + 1; enc < compress.Encodings; enc++ {
		a.tags[enc] = `"` + content.ETag + "-" + enc.String() + `"`
	}
	a.keep(compress.Identity, content.Body)
	return a
}

// CollectedAt is when the section was collected, on Redis's clock.
func (a *Answer) CollectedAt() time.Time { return a.content.CollectedAt }

// Window is the length of telemetry that the section speaks of; 0 for none.
func (a *Answer) Window() time.Duration { return a.content.Window }

// Meta is the meta of the body.
func (a *Answer) Meta() *envelope.Meta { return &a.content.Meta }

// Data is the part of the body that is the section's value.
func (a *Answer) Data() []byte { return a.content.Data }

// Body is the JSON body.
func (a *Answer) Body() []byte { return a.content.Body }

// ETag is the opaque part of the entity tag of Body: two answers of a section are
// equal if and only if their tags are.
func (a *Answer) ETag() string { return a.content.ETag }

// Tag is the value of the ETag header in an encoding, without making the form.
func (a *Answer) Tag(enc compress.Encoding) []string {
	enc = a.effective(enc)
	return a.tags[enc : enc+1 : enc+1]
}

// Form returns the body in an encoding; a body below compress.MinSize stays as it
// is. The error is the encoder's.
func (a *Answer) Form(enc compress.Encoding) (*Form, error) {
	enc = a.effective(enc)
	if form := a.forms[enc].Load(); form != nil {
		return form, nil
	}
	a.making.Lock()
	defer a.making.Unlock()
	if form := a.forms[enc].Load(); form != nil {
		return form, nil
	}
	body, err := a.compressor.Encode(enc, a.content.Body)
	if err != nil {
		return nil, err
	}
	return a.keep(enc, bytes.Clone(body)), nil // without the room that the encoder left
}

// effective is the encoding that the answer has for an encoding asked for.
func (a *Answer) effective(enc compress.Encoding) compress.Encoding {
	if len(a.content.Body) < compress.MinSize {
		return compress.Identity
	}
	return enc
}

func (a *Answer) keep(enc compress.Encoding, body []byte) *Form {
	form := &Form{Body: body, ETag: a.Tag(enc), ContentLength: []string{strconv.Itoa(len(body))}}
	if enc != compress.Identity {
		form.ContentEncoding = []string{enc.String()}
	}
	a.forms[enc].Store(form)
	a.bytes.Add(int64(cap(body)))
	return form
}

// Bytes is what the forms made so far occupy, and what was derived from the data.
func (a *Answer) Bytes() int64 { return a.bytes.Load() }

// Made returns the compressed encodings that were asked for so far.
func (a *Answer) Made() []compress.Encoding {
	var made []compress.Encoding
	for enc := compress.Identity + 1; enc < compress.Encodings; enc++ {
		if a.forms[enc].Load() != nil {
			made = append(made, enc)
		}
	}
	return made
}
