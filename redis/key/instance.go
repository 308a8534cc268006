package key

import (
	"crypto/rand"
	"os"
	"strings"
)

// uniqueLength is that of what Unique adds.
const uniqueLength = 9

// MaxUnique is the longest name that Unique can be given.
const MaxUnique = MaxClusterID - uniqueLength

// HostInstance is the host's name, of the characters that an instance name may
// hold, short enough for Unique; otherwise where the host has none.
func HostInstance(otherwise string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = otherwise
	}
	name := strings.Map(func(r rune) rune {
		if ValidateInstance(string(r)) == nil {
			return r
		}
		return '-'
	}, strings.ToLower(host))
	return name[:min(len(name), MaxUnique)]
}

// Unique makes a name that is this process's alone: two on one host, or two of one
// Deployment, may share a name, and one may start before its predecessor is gone.
func Unique(name string) string {
	return name + "-" + strings.ToLower(rand.Text()[:uniqueLength-1])
}
