// Package e2e_test runs the whole path in one process, on real input: captured
// rows in a real ClickHouse engine -> agents -> a real Redis -> two masters ->
// HTTP, and compares every answer with what package reference computes from the
// same rows.
package e2e_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEndToEnd asks for everything at two instants: near the end of the capture,
// on a scrape of one node, so that samples lie on both edges of the windows; and
// on the first scrape of a proxy after its restart, with restarts of the other
// proxies a minute earlier.
func TestEndToEnd(t *testing.T) {
	s, shift := newStack(t)
	instants := []cluster{
		{id: "edge", at: captured(2, 37, 47).Add(shift)},
		{id: "restart", at: captured(2, 32, 34).Add(shift)},
	}
	for _, c := range instants {
		s.startAgent(t, c, nil)
	}
	for _, c := range instants {
		s.awaitSections(t, c)
		for _, test := range perInstant() {
			t.Run(c.id+"/"+test.name, func(t *testing.T) { test.run(t, s, c) })
		}
	}
	c := instants[0]
	for _, test := range perRange() {
		t.Run(test.name, func(t *testing.T) { test.run(t, s, c) })
	}
	t.Run("who hangs up stops the query", func(t *testing.T) { testHangUp(t, s, c.at) })
	t.Run("masters share results", func(t *testing.T) { testShared(t, s, c) })
	t.Run("traces of its own", func(t *testing.T) { testOwnTraces(t, s, c.at) })
	t.Run("the agent leaves", func(t *testing.T) { testAgentLeaves(t, s, c.at) })
	t.Run("ClickHouse goes away", func(t *testing.T) { testClickHouseAway(t, s, c.at) })
	t.Run("ClickHouse was never there", func(t *testing.T) { testNotReady(t, s, c.at) })
}

type namedTest struct {
	name string
	run  func(*testing.T, *stack, cluster)
}

// perInstant are the tests of what ends now.
func perInstant() []namedTest {
	return []namedTest{
		{"metrics", testNodes},
		{"node", testNode},
		{"slo ingress", testIngress},
		{"mesh", testMesh},
		{"slo summary", testSLOSummary},
		{"trace services", testServices},
		{"topology", testTopology},
		{"overview", testOverview},
		{"windows", testWindows},
		{"other ranges", testRanges},
		{"stock Redis", testStockRedis},
		{"clusters", testClusters},
		{"fleet", testFleet},
		{"stream", testStream},
	}
}

// perRange are the tests of requests that say what range they mean.
func perRange() []namedTest {
	return []namedTest{
		{"contract", testContract},
		{"refusals", testRefusals},
		{"redis-cli", testRedisCLI},
		{"series", testRawSeries},
		{"series by alias", testAliases},
		{"slo series", testSLOSeries},
		{"traces", testSearch},
		{"traces of a part", testSearchInPart},
		{"traces by page", testSearchPages},
		{"trace by id", testTrace},
		{"logs", testLogs},
		{"logs by page", testLogPages},
	}
}
