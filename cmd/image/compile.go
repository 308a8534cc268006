package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// build are the binaries of all components for one platform.
type build struct {
	platform v1.Platform
	dir      string                      // that they are in
	info     map[string]*debug.BuildInfo // by component.binary
}

// path is where a component's binary is.
func (b build) path(c component) string { return filepath.Join(b.dir, c.binary) }

// compile builds the binaries for a platform into a folder of dir, and refuses those
// that other machines would build otherwise or that an empty image cannot run.
func compile(ctx context.Context, source, dir string, p v1.Platform) (build, error) {
	b := build{platform: p, dir: filepath.Join(dir, p.OS+"-"+p.Architecture), info: make(map[string]*debug.BuildInfo)}
	args := append([]string{"build", "-o", b.dir + string(filepath.Separator)}, buildFlags()...)
	for _, c := range components() {
		args = append(args, "./cmd/"+c.binary)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), environment(p)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return b, fmt.Errorf("image: go build for %s: %w\n%s", p, err, output.Bytes())
	}
	for _, c := range components() {
		info, err := buildinfo.ReadFile(b.path(c))
		if err != nil {
			return b, fmt.Errorf("image: %w", err)
		}
		if err := errors.Join(checkSettings(info), checkStatic(b.path(c), p)); err != nil {
			return b, fmt.Errorf("image: %s for %s: %w", c.binary, p, err)
		}
		b.info[c.binary] = info
	}
	return b, nil
}

// buildFlags are those of go build: no paths of this machine, the commit in the binary,
// no symbols for debuggers (profiles need none of them).
func buildFlags() []string { return []string{"-trimpath", "-buildvcs=true", "-ldflags=-s -w"} }

// environment is what decides the result of go build, whatever this machine says: a
// variable that is not empty goes before go env -w.
func environment(p v1.Platform) []string {
	return []string{
		"GOOS=" + p.OS, "GOARCH=" + p.Architecture, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOFIPS140=off",
	}
}

// checkSettings fails when the binary was built with a setting that not every machine
// has, such as an experiment of GOEXPERIMENT.
func checkSettings(info *debug.BuildInfo) error {
	want := map[string]string{
		"-buildmode": "exe", "-compiler": "gc", "-trimpath": "true",
		"CGO_ENABLED": "0", "GOAMD64": "v1", "GOARM64": "v8.0",
		"GOOS": "", "GOARCH": "", "vcs": "", "vcs.revision": "", "vcs.time": "", "vcs.modified": "", // as they are
	}
	for _, s := range info.Settings {
		if value, known := want[s.Key]; !known || value != "" && s.Value != value {
			return fmt.Errorf("built with %s=%s, which not every machine has: unset it", s.Key, s.Value)
		}
	}
	return nil
}

// checkStatic fails when the file is not for the platform or needs a loader or
// libraries, which an image without files does not have.
func checkStatic(path string, p v1.Platform) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[p.Architecture]
	if file.Machine != want {
		err = fmt.Errorf("is for %s, not for %s", file.Machine, want)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			return errors.Join(err, errors.New("is not static"), file.Close())
		}
	}
	return errors.Join(err, file.Close())
}

// source is what the binaries were built from.
type source struct {
	version  string    // as the binaries print it: "(devel)" without a commit
	revision string    // of the commit; "" without one
	modified bool      // the tree was not that of the commit
	created  time.Time // of the commit, or SOURCE_DATE_EPOCH
}

// sourceOf reads it from the binaries. epoch is the SOURCE_DATE_EPOCH; 0 means none.
func sourceOf(built []build, epoch int64) (source, error) {
	var of source
	for _, b := range built {
		for name, info := range b.info {
			this, err := sourceIn(info, epoch)
			switch {
			case err != nil:
				return of, err
			case of.version != "" && this != of:
				return of, fmt.Errorf("image: %s for %s is of %+v, others of %+v: the tree changed meanwhile", name, b.platform, this, of)
			}
			of = this
		}
	}
	return of, nil
}

func sourceIn(info *debug.BuildInfo, epoch int64) (source, error) {
	of := source{version: info.Main.Version, created: time.Unix(epoch, 0).UTC()}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			of.revision = s.Value
		case "vcs.modified":
			of.modified = s.Value == "true"
		case "vcs.time":
			at, err := time.Parse(time.RFC3339, s.Value)
			if err != nil {
				return of, fmt.Errorf("image: time of the commit: %w", err)
			}
			if epoch == 0 {
				of.created = at.UTC()
			}
		}
	}
	if of.created.Unix() == 0 {
		return of, errors.New("image: no commit says what time everything is dated: set SOURCE_DATE_EPOCH")
	}
	return of, nil
}

// tag is the version as a tag, which cannot have a +, nor parentheses.
func (s source) tag() string {
	return strings.ReplaceAll(strings.Trim(s.version, "()"), "+", "_")
}
