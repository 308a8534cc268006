package inspect

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// MissesRight tells whether err is Redis's refusal of what the user may not do, by itself
// or in a script.
func MissesRight(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	return strings.HasPrefix(reply.Error(), "NOPERM") || strings.Contains(reply.Error(), "The user executing the script can't")
}
