package main

import (
	"testing"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

// Who follows the page meets no flag that is not there.
func TestInstallPage(t *testing.T) {
	t.Parallel()
	clitest.CheckPage(t, "../../docs/install.md", "master", func() any { return &flags{} }, options()...)
}
