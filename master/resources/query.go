package resources

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Bounds of a query.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	// MaxText bounds namespace and q, in bytes: no name is longer.
	MaxText = maxName
	// MaxSelector bounds a label selector, in bytes, and maxRequirements what it asks.
	MaxSelector     = 2048
	maxRequirements = 32
)

// Params are the parameters of a list as they are given; "" is absent.
type Params struct {
	Namespace     string
	Q             string // a part of the name, in any case
	LabelSelector string // as kubectl -l takes it
	Sort          string // one of Kind.Sorts, "-" in front turns it around
	Cursor        string // Page.NextCursor of the page before
	Limit         int    // 1 to MaxLimit
}

// Query asks for a page of a list. NewQuery makes it.
type Query struct {
	params   Params
	lower    string // Q in lower case
	selector labels.Selector
	digest   [digestSize]byte // of all but the page
	after    *key             // what the last page ended with
}

// NewQuery checks the parameters of a list of a cluster's objects. The error names the
// one that is wrong.
func NewQuery(kind *Kind, cluster string, params Params) (*Query, error) {
	if params.Sort == "" {
		params.Sort = kind.order
	}
	q := &Query{params: params, lower: strings.ToLower(params.Q), selector: labels.Everything()}
	for _, p := range []struct {
		name, value string
		most        int
	}{
		{"namespace", params.Namespace, MaxText},
		{"q", params.Q, MaxText},
		{"label_selector", params.LabelSelector, MaxSelector},
	} {
		if len(p.value) > p.most {
			return nil, fmt.Errorf("%s: is longer than %d bytes", p.name, p.most)
		}
	}
	if params.Limit < 1 || params.Limit > MaxLimit {
		return nil, fmt.Errorf("limit: %d is no whole number between 1 and %d", params.Limit, MaxLimit)
	}
	if !slices.Contains(kind.Sorts(), strings.TrimPrefix(params.Sort, "-")) {
		return nil, fmt.Errorf("sort: %.40q is none of %s, with - in front or without", params.Sort, strings.Join(kind.Sorts(), ", "))
	}
	if err := q.parseSelector(); err != nil {
		return nil, err
	}
	q.digest = digest(cluster, string(kind.Section), params.Namespace, q.lower, q.selector.String(), params.Sort)
	if params.Cursor != "" {
		after, err := decodeCursor(params.Cursor, q.digest)
		if err != nil {
			return nil, err
		}
		q.after = &after
	}
	return q, nil
}

func (q *Query) parseSelector() error {
	if q.params.LabelSelector == "" {
		return nil
	}
	selector, err := labels.Parse(q.params.LabelSelector)
	if err != nil {
		return fmt.Errorf("label_selector: %.300s", strings.TrimPrefix(err.Error(), "<nil>: "))
	}
	if asked, _ := selector.Requirements(); len(asked) > maxRequirements {
		return fmt.Errorf("label_selector: asks for more than %d labels", maxRequirements)
	}
	q.selector = selector
	return nil
}

// Tag tells queries apart: two of equal tags ask for the same of the same data.
func (q *Query) Tag() string {
	return Tag(string(q.digest[:]), q.params.Cursor, strconv.Itoa(q.params.Limit))
}

// Tag is a short text that tells lists of texts apart.
func Tag(texts ...string) string {
	sum := digest(texts...)
	return hex.EncodeToString(sum[:])
}

const digestSize = 8

// digest tells texts apart.
func digest(texts ...string) [digestSize]byte {
	var all []byte
	for _, text := range texts {
		all = append(binary.AppendUvarint(all, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(all)
	return [digestSize]byte(sum[:])
}
