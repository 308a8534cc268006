// Package build says which build a process runs.
package build

import "runtime/debug"

// Info is what the Go toolchain wrote into the binary. What it did not is "".
type Info struct {
	// Version is the module's: a tag, or a pseudo-version of the commit.
	Version string `json:"version"`
	// Go is the toolchain's version.
	Go string `json:"go"`
	// Revision is the commit that was built, Time is the commit's, RFC 3339.
	Revision string `json:"revision"`
	Time     string `json:"time"`
	// Modified tells whether files differed from the commit.
	Modified bool `json:"modified"`
	// OS and Arch are what it was built for.
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

// Read returns the Info of this process.
func Read() Info {
	from, ok := debug.ReadBuildInfo()
	if !ok { // built without modules
		return Info{Version: unknown}
	}
	return of(from)
}

const unknown = "unknown"

func of(from *debug.BuildInfo) Info {
	info := Info{Version: from.Main.Version, Go: from.GoVersion}
	if info.Version == "" { // a test's binary has none
		info.Version = unknown
	}
	for _, s := range from.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Revision = s.Value
		case "vcs.time":
			info.Time = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "GOOS":
			info.OS = s.Value
		case "GOARCH":
			info.Arch = s.Value
		}
	}
	return info
}
