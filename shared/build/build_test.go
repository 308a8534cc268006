package build

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	t.Parallel()
	from := debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
		{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "arm64"}, {Key: "-trimpath", Value: "true"},
	}}
	want := Info{
		Version: "v1.2.3", Go: "go1.26.0", Revision: "abc", Time: "2026-01-02T03:04:05Z", Modified: true, OS: "linux", Arch: "arm64",
	}
	if diff := cmp.Diff(want, of(&from)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Info{Version: unknown}, of(&debug.BuildInfo{})); diff != "" {
		t.Error(diff)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got := Read()
	if got.Go != runtime.Version() || got.OS != runtime.GOOS || got.Arch != runtime.GOARCH || got.Version == "" {
		t.Errorf("%+v", got)
	}
}
