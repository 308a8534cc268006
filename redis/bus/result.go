package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
)

// MaxResultBytes is the longest reply that is shared: longer ones cost Redis more
// memory than they save queries.
const MaxResultBytes = 1 << 20

// resultSlack is how far an agent's and a master's measurement of Redis's clock may
// be apart.
const resultSlack = 2 * time.Second

// resultHash names a request: equal for equal requests, since codec.Encode gives
// equal values equal bytes. Another version of the encoding shares nothing.
func resultHash(kind detail.Kind, params codec.Raw) string {
	h := sha256.New()
	h.Write([]byte{Version})
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write(params)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// resultKey is where a finished reply to the command is shared and for how long;
// ok is false for kinds that share none.
func resultKey(cluster key.Cluster, kind detail.Kind, params codec.Raw) (name string, ttl time.Duration, ok bool) {
	ttl = key.ResultTTL(kind)
	if ttl <= 0 {
		return "", 0, false
	}
	return cluster.Result(resultHash(kind, params)), ttl, true
}

// shareable tells whether the reply may answer others: a success of bounded length.
func (r Reply) shareable(data []byte) bool { return r.Code == "" && len(data) <= MaxResultBytes }

// decodeResult reads a shared reply; ok is false for one that is of no use: it
// cannot be read, or it is older than its kind allows.
func decodeResult(data string, ttl time.Duration, now time.Time) (r Reply, ok bool) {
	if len(data) > MaxResultBytes {
		return Reply{}, false
	}
	r, err := DecodeReply([]byte(data))
	if err != nil || r.Code != "" {
		return Reply{}, false
	}
	age := now.Sub(time.UnixMilli(min(max(r.At, 0), maxDeadline)))
	if age < -resultSlack || age > ttl+resultSlack {
		return Reply{}, false
	}
	r.Shared = true
	return r, true
}
