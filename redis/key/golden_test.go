package key_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec/wiretest"
	"github.com/atlhyper/observe/shared/detail"
)

var update = flag.Bool("update", false, "rewrite the golden files: agents and masters in the field look elsewhere")

// names are all that agents and masters find each other by.
func names() []string {
	c := key.Cluster("prod-1")
	all := []string{
		"snapshot " + c.Snapshot(), "meta " + c.Meta(), "agents " + c.Agents(), "commands " + c.Commands(),
		"claimed " + c.Claimed("a.1"), "reply " + c.Reply("id"), "answered " + c.Answered("id"), "result " + c.Result("hash"),
		"events " + c.Events(), "replies " + c.Replies("m1"), "cancels " + c.Cancels(), "clusters " + key.Clusters,
		"events of all " + key.EventsPattern, "replies of all " + key.RepliesPattern("m1"), "agents of all " + key.AgentsPattern,
		"layout " + key.SchemaVersion,
	}
	for _, f := range []string{
		key.MetaSchema, key.MetaSeq, key.MetaAt, key.MetaAgent, key.MetaVersion, key.MetaInterval, key.MetaSections,
	} {
		all = append(all, "meta field "+f)
	}
	for _, f := range key.SectionFields() {
		all = append(all, "meta field "+key.Field("a.b", f))
	}
	return all
}

// lifetimes are what both ends count with: a master takes an agent for offline at the
// age at which another agent takes over what it has.
func lifetimes() []string {
	all := []string{
		fmt.Sprintf("snapshot intervals %d", key.SnapshotIntervals), fmt.Sprintf("lease intervals %d", key.LeaseIntervals),
		fmt.Sprintf("beat interval %s", key.BeatInterval), fmt.Sprintf("beat expiry %s", key.BeatExpiry),
		fmt.Sprintf("agents %s", key.AgentsTTL), fmt.Sprintf("claimed %s", key.ClaimedTTL),
		fmt.Sprintf("grace %s", key.Grace), fmt.Sprintf("clusters %s", key.ClustersAge),
	}
	for _, kind := range []detail.Kind{
		detail.KindNode, detail.KindNodeSeries, detail.KindTraces, detail.KindTrace, detail.KindLogs, detail.KindSLOSeries, detail.KindSection,
	} {
		all = append(all, fmt.Sprintf("result of %s %s", kind, key.ResultTTL(kind)))
	}
	return all
}

// What a release before looks for is still there, under the name that it knows.
func TestGoldenNames(t *testing.T) {
	t.Parallel()
	files := wiretest.Files{Dir: "testdata", Update: *update}
	files.Written(t, "names.txt", lines(names()))
	files.Written(t, "lifetimes.txt", lines(lifetimes()))
	for _, old := range files.All(t, "names.txt") {
		for line := range strings.Lines(string(old.Data)) {
			if name := strings.TrimSuffix(line, "\n"); !slices.Contains(names(), name) {
				t.Errorf("%s knew %q, which is not there any more", old.Release, name)
			}
		}
	}
}

func lines(all []string) []byte { return []byte(strings.Join(all, "\n") + "\n") }
