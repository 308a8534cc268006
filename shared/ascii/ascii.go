// Package ascii checks names that others send.
package ascii

import "strings"

// IndexOther is the index of the first byte of s that is neither a letter or a digit of
// ASCII nor one of the bytes of others; -1 when there is none.
func IndexOther(s, others string) int {
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte(others, c) < 0 {
			return i
		}
	}
	return -1
}
