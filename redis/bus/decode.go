package bus

import "strings"

// DecodeCommand reads a command as it lies in a list, as agents do. Beside an error, its
// ID, Replica and Deadline are set if those can be read.
func DecodeCommand(data []byte) (Command, error) { return decodeCommand(data) }

// DecodeReply reads a reply to any command, as masters do.
func DecodeReply(data []byte) (Reply, error) { return readReply(data) }

// ValidateID checks the id of a command: 1 to 64 of a-z, 0-9 and '-'.
func ValidateID(id string) error { return validateID(id) }

// Announced takes apart what is said on a replica's channel: the id of a command that
// was answered, and the reply if it is part of it, else "". ok is false for what names no
// command.
func Announced(said string) (id, reply string, ok bool) {
	id, reply, _ = strings.Cut(said, carrier)
	return id, reply, validateID(id) == nil
}
