// Package event reads server-sent events.
package event

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxBytes bounds one event, its field names and line ends included.
const MaxBytes = 16 << 20

// ErrTooLarge is an event of more than MaxBytes.
var ErrTooLarge = fmt.Errorf("an event is longer than %d bytes", MaxBytes)

// Event is one event, or a comment.
type Event struct {
	// Name is the type; "message" where the stream gives none.
	Name string
	// Data is the lines of data, joined by \n.
	Data string
	// LastID is the id of this event, or of the last one before it that had one.
	LastID string
	// Comment is true for a comment, such as a heartbeat; its text is Data.
	Comment bool
	// Bytes is how long it was on the wire.
	Bytes int
}

// Reader takes events from a stream as the HTML standard says ("Interpreting an
// event stream"), but for lines that end in a carriage return alone, and says of
// comments, too.
type Reader struct {
	in     *bufio.Reader
	lastID string
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 32<<10)} }

// Next returns the next event or comment. At the end of the stream it is io.EOF; an
// event that the end cuts is none.
func (r *Reader) Next() (Event, error) {
	e, data := Event{}, []string(nil)
	for {
		line, size, err := r.line(MaxBytes - e.Bytes)
		if err != nil {
			return Event{}, err
		}
		e.Bytes += size
		if line == "" {
			e.LastID = r.lastID
			if data == nil { // nothing to tell; what was read of it counts for nobody
				e = Event{}
				continue
			}
			e.Data = strings.Join(data, "\n")
			if e.Name == "" {
				e.Name = "message"
			}
			return e, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			if e.Bytes == size { // between events; one inside an event is passed over
				return Event{Comment: true, Data: value, LastID: r.lastID, Bytes: e.Bytes}, nil
			}
		case "event":
			e.Name = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.Contains(value, "\x00") {
				r.lastID = value
			}
		}
	}
}

// line reads a line of at most so many bytes; size is with its end.
func (r *Reader) line(most int) (line string, size int, err error) {
	var long []byte
	for {
		part, err := r.in.ReadSlice('\n')
		size += len(part)
		if size > most {
			return "", size, ErrTooLarge
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if err != nil {
			return "", size, err
		}
		if long != nil {
			part = append(long, part...)
		}
		return string(bytes.TrimSuffix(part[:len(part)-1], []byte("\r"))), size, nil
	}
}
