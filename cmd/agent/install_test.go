package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

const installPage = "../../docs/install.md"

// Who follows the page meets no flag and no setting that is not there.
func TestInstallPage(t *testing.T) {
	t.Setenv("ATLHYPER_CLICKHOUSE", "http://localhost:8123/otel") // as agent.env on the page
	clitest.CheckPage(t, installPage, "agent", func() any { return &flags{} }, options()...)

	parser, err := kong.New(&flags{}, options()...)
	if err != nil {
		t.Fatal(err)
	}
	settings := clitest.Settings(t, installPage)
	if !slices.Contains(settings, "ATLHYPER_CLUSTER_ID") {
		t.Errorf("the page sets %q only", settings)
	}
	for _, name := range settings {
		if !slices.ContainsFunc(parser.Model.Flags, func(f *kong.Flag) bool { return slices.Contains(f.Envs, name) }) {
			t.Errorf("the page sets %s, which is no setting of an agent", strings.TrimSpace(name))
		}
	}
}
