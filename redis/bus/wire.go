// Package bus carries detail requests from masters to the agents of a cluster
// and the replies back, over Redis lists.
//
//	master   script: is an agent live, is there a finished reply to an equal request,
//	         is there room; RPUSH commands
//	agent    BLMOVE commands -> claimed:<instance>, a script drains more of them;
//	         run; script: LREM claimed, RPUSH reply:<id> once, SET result:<hash>,
//	         PUBLISH replies:<replica>, with the reply if it is short
//	master   one subscription for all waits; a script reads a reply:<id> that was announced
//	         without it, if it is not too long; a sweep each second and on every
//	         subscription finds what was not announced, and deletes what was read
//
// A command is in exactly one list until it is answered, so neither a cut
// connection nor a killed agent loses it.
package bus

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

// Version is the encoding of commands and replies that this build writes and
// reads. Others are refused.
const Version = 1

// Bounds of what is read from Redis.
const (
	// MaxCommandBytes is the longest command.
	MaxCommandBytes = 64 << 10
	// maxID is the longest id.
	maxID = 64
	// maxRequestID is the longest id of an HTTP request.
	maxRequestID = 64
	// maxCarried is the longest reply that is part of its announcement: what most are
	// within, and little enough for Redis to hold for a replica that is slow to hear, and
	// for that to read and drop when nobody waits.
	maxCarried = 8 << 10
	// maxMessage is the longest error message of a reply, in bytes.
	maxMessage = 1 << 10
)

// Command is one request on its way to an agent.
type Command struct {
	// V is the encoding's version; see Version.
	V int `json:"v"`
	// ID names the command and its reply key: a-z, 0-9, '-'.
	ID string `json:"id"`
	// Kind names the request and so the type of Params.
	Kind detail.Kind `json:"kind"`
	// Params is the msgpack of the detail request.
	Params codec.Raw `json:"params"`
	// Deadline is when nobody waits any more: ms on Redis's clock.
	Deadline int64 `json:"deadline"`
	// Replica is the master that waits for the reply.
	Replica string `json:"replica"`
	// Traceparent continues the caller's trace (W3C header); "" for none.
	Traceparent string `json:"traceparent,omitempty"`
	// RequestID is the id of the HTTP request, for logs; "" from masters that don't say.
	RequestID string `json:"requestId,omitempty"`
	// SentAt is when the master sent it: ms on Redis's clock; 0 from masters that don't say.
	SentAt int64 `json:"sentAt,omitempty"`
	// Carry is how long a reply may be, in bytes, to be part of its announcement; 0 from
	// masters that read it from its key only.
	Carry int `json:"carry,omitempty"`
}

// Reply is the answer to a command.
type Reply struct {
	// V is the encoding's version; see Version.
	V int `json:"v"`
	// ID is the command's.
	ID string `json:"id"`
	// Agent is the instance that ran it.
	Agent string `json:"agent"`
	// Code is "" when it went well.
	Code fault.Code `json:"code,omitempty"`
	// Message is for users, when Code is set.
	Message string `json:"message,omitempty"`
	// Data is the msgpack of the result, when Code is "".
	Data codec.Raw `json:"data,omitempty"`
	// Meta is what goes beside the data.
	Meta detail.Meta `json:"meta"`
	// TookMs is how long the agent ran it.
	TookMs float64 `json:"tookMs"`
	// At is when its run began: ms on Redis's clock. 0 from agents that don't say.
	At int64 `json:"at,omitempty"`
	// Shared is true when the reply was made for an earlier request that was equal.
	Shared bool `json:"-"`
}

// carrier is between the id and the reply in an announcement; ids have none.
const carrier = " "

// Refusal is a reply without data.
func Refusal(err *fault.Error) Reply { return Reply{Code: err.Code, Message: err.Message} }

// errVersion is wrapped by errors about another encoding.
var errVersion = errors.New("unknown version")

// DecodeCommand reads a command as it lies in a list. When the error is about something
// other than the bytes as a whole, the command's ID, Replica and Deadline are set, so
// that it can be refused with a reply.
func DecodeCommand(data []byte) (Command, error) {
	if len(data) > MaxCommandBytes {
		return Command{}, fmt.Errorf("command: %d bytes are more than %d", len(data), MaxCommandBytes)
	}
	var full Command
	unreadable := codec.Decode(data, &full)
	if unreadable != nil || full.V != Version || ValidateID(full.ID) != nil {
		return decodeHead(data, unreadable)
	}
	switch {
	case len(full.Kind) > maxID:
		return full.head(), fmt.Errorf("command: a kind of %d bytes is too long", len(full.Kind))
	case len(full.Traceparent) > span.MaxTraceparent:
		return full.head(), fmt.Errorf("command: a traceparent of %d bytes is too long", len(full.Traceparent))
	}
	full.RequestID = bounded(full.RequestID, maxRequestID)
	return full, nil
}

// head is what is needed to refuse a command.
func (c Command) head() Command {
	return Command{V: c.V, ID: c.ID, Replica: c.Replica, Deadline: c.Deadline}
}

// decodeHead reads of a command what every version has, so that another version, or
// one that is unreadable otherwise, gets its answer.
func decodeHead(data []byte, unreadable error) (Command, error) {
	var head struct {
		V        int    `json:"v"`
		ID       string `json:"id"`
		Replica  string `json:"replica"`
		Deadline int64  `json:"deadline"`
	}
	if err := codec.Decode(data, &head); err != nil {
		return Command{}, fmt.Errorf("command: %w", err)
	}
	if err := ValidateID(head.ID); err != nil {
		return Command{}, fmt.Errorf("command: %w", err)
	}
	cmd := Command{V: head.V, ID: head.ID, Replica: head.Replica, Deadline: head.Deadline}
	if head.V != Version {
		return cmd, fmt.Errorf("command: %w %d; this agent reads version %d", errVersion, head.V, Version)
	}
	return cmd, fmt.Errorf("command: %w", unreadable)
}

// commandID returns the id of a command that may be unreadable otherwise.
func commandID(raw string) (string, bool) {
	cmd, err := DecodeCommand([]byte(raw))
	return cmd.ID, err == nil || cmd.ID != ""
}

// decodeReply reads the reply to the command id.
func decodeReply(data []byte, id string) (Reply, error) {
	r, err := DecodeReply(data)
	switch {
	case err != nil:
		return Reply{}, err
	case r.ID != id:
		return Reply{}, errors.New("reply: its id is not the command's")
	}
	return r, nil
}

// DecodeReply reads a reply to any command, as masters do.
func DecodeReply(data []byte) (Reply, error) {
	var r Reply
	if err := codec.Decode(data, &r); err != nil {
		return Reply{}, fmt.Errorf("reply: %w", err)
	}
	switch {
	case r.V != Version:
		return Reply{}, fmt.Errorf("reply: %w %d; this master reads version %d", errVersion, r.V, Version)
	case r.Code != "" && !knownCode(r.Code):
		return Reply{}, fmt.Errorf("reply: unknown code %.40q", string(r.Code))
	}
	r.Agent = bounded(r.Agent, maxID)
	r.Message = bounded(r.Message, maxMessage)
	return r, nil
}

// knownCode tells whether an agent may answer with the code.
func knownCode(c fault.Code) bool {
	switch c {
	case fault.BadRequest, fault.NotFound, fault.AgentError, fault.Timeout, fault.ResultTooLarge, fault.Internal:
		return true
	default:
		return false
	}
}

// ValidateID checks the id of a command: 1 to 64 of a-z, 0-9 and '-'.
func ValidateID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("id: must have 1 to %d characters", maxID)
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("id: may hold only a-z, 0-9 and '-', not %q", c)
		}
	}
	return nil
}

// bounded cuts s to n bytes at a character's end and replaces what is not UTF-8.
func bounded(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Announced takes apart what is said on a replica's channel: the id of a command that
// was answered, and the reply if it is part of it, else "". ok is false for what names no
// command.
func Announced(said string) (id, reply string, ok bool) {
	id, reply, _ = strings.Cut(said, carrier)
	return id, reply, ValidateID(id) == nil
}
