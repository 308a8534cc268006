package access

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/atlhyper/observe/redis/key"
)

// Clusters is a set of clusters, by patterns of their ids. The zero value is empty.
type Clusters struct {
	globs []string // sorted, each once
	all   bool
}

// AllClusters holds every cluster.
func AllClusters() Clusters { return Clusters{globs: []string{"*"}, all: true} }

// ParseClusters reads patterns: cluster ids in which * stands for any characters and ?
// for one.
func ParseClusters(globs []string) (Clusters, error) {
	switch {
	case len(globs) == 0:
		return Clusters{}, errors.New(`clusters: is required: patterns of cluster ids; "*" is all`)
	case len(globs) > MaxGlobs:
		return Clusters{}, fmt.Errorf("clusters: %d patterns are more than %d", len(globs), MaxGlobs)
	}
	var c Clusters
	for _, glob := range globs {
		// A wildcard stands where a character may, so that what is left is an id.
		if err := key.ValidateCluster(strings.NewReplacer("*", "x", "?", "x").Replace(glob)); err != nil {
			return Clusters{}, fmt.Errorf("clusters: %.80q is no pattern of cluster ids: a-z, 0-9, '-', * and ?, at most %d of them",
				glob, key.MaxClusterID)
		}
		c.all = c.all || strings.Trim(glob, "*") == ""
		c.globs = append(c.globs, glob)
	}
	slices.Sort(c.globs)
	c.globs = slices.Compact(c.globs)
	return c, nil
}

// Or is the union of both. It may hold more than MaxGlobs patterns.
func (c Clusters) Or(other Clusters) Clusters {
	globs := slices.Concat(c.globs, other.globs)
	slices.Sort(globs)
	return Clusters{globs: slices.Compact(globs), all: c.all || other.all}
}

// Globs returns the patterns, sorted; never nil.
func (c Clusters) Globs() []string { return append([]string{}, c.globs...) }

func (c Clusters) match(cluster key.Cluster) bool {
	if c.all {
		return true
	}
	for _, glob := range c.globs {
		// The patterns were checked, and ids hold no slash, the one thing that * is not.
		if ok, err := path.Match(glob, string(cluster)); err == nil && ok {
			return true
		}
	}
	return false
}
