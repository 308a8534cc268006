package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}

	// at is when the commit of these tests was made.
	at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// An image holds a binary, who runs it and what is in it: no links, nothing that
// anyone may write, nothing that runs as another user.
func TestLayer(t *testing.T) {
	t.Parallel()
	c := components()[0]
	content, err := layer(files(c, []byte("binary"), []byte("bill")), at)
	if err != nil {
		t.Fatal(err)
	}
	body, err := content.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := make(map[string]string)
	last := ""
	for archive := tar.NewReader(body); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !fs.ValidPath(strings.TrimSuffix(h.Name, "/")) || h.Name <= last {
			t.Errorf("%q after %q: want clean relative names in order", h.Name, last)
		}
		last = h.Name
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
			t.Errorf("%s is of type %c", h.Name, h.Typeflag)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname+h.Gname != "" || !h.ModTime.Equal(at) || len(h.PAXRecords) != 0 {
			t.Errorf("%s: %+v, want it owned by 0:0 and of %s", h.Name, h, at)
		}
		got[h.Name] = fs.FileMode(h.Mode).String() //nolint:gosec // a mode that we wrote
	}
	want := map[string]string{
		"master": "-r-xr-xr-x", "etc/": "-rwxr-xr-x", "etc/group": "-r--r--r--", "etc/passwd": "-r--r--r--", "sbom.cdx.json": "-r--r--r--",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// testImages are images of the master for two platforms.
func testImages(t *testing.T, c component, of source) []v1.Image {
	t.Helper()
	var all []v1.Image
	for _, p := range []v1.Platform{amd64, arm64} {
		content, err := layer(files(c, []byte("binary for "+p.Architecture), []byte("bill")), of.created)
		if err != nil {
			t.Fatal(err)
		}
		image, err := newImage(c, p, of, content)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, image)
	}
	return all
}

// The archive is read by the readers of both forms that it has, which check all digests.
func TestArchive(t *testing.T) {
	t.Parallel()
	c := components()[0]
	of := source{version: "v1.2.3+dirty", revision: "abc", created: at}
	dir := t.TempDir()
	var digests []v1.Hash
	for _, file := range []string{"first.tar", "second.tar"} {
		a, err := newArchive("registry.example/team/"+c.image+":"+of.tag(), labels(c, of), testImages(t, c, of))
		if err != nil {
			t.Fatal(err)
		}
		size, err := a.writeFile(filepath.Join(dir, file), at)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() != size {
			t.Errorf("%d bytes of %+v, %v", size, info, err)
		}
		digests = append(digests, a.digest)
	}
	sameFiles(t, filepath.Join(dir, "first.tar"), filepath.Join(dir, "second.tar"))

	path := filepath.Join(dir, "first.tar")
	index, descriptor := openLayout(t, path)
	if descriptor.Digest != digests[0] {
		t.Errorf("index.json names %s, want %s", descriptor.Digest, digests[0])
	}
	wantNames := map[string]string{
		"io.containerd.image.name": "registry.example/team/atlhyper-master:v1.2.3_dirty", "org.opencontainers.image.ref.name": "v1.2.3_dirty",
	}
	if diff := cmp.Diff(wantNames, descriptor.Annotations); diff != "" {
		t.Error(diff)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(labels(c, of), manifest.Annotations); diff != "" || len(manifest.Manifests) != 2 {
		t.Errorf("%d images; %s", len(manifest.Manifests), diff)
	}
	for _, entry := range manifest.Manifests {
		image, err := index.Image(entry.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, image, *entry.Platform, c, labels(c, of))

		docker, err := name.NewTag("registry.example/team/atlhyper-master:v1.2.3_dirty-" + entry.Platform.Architecture)
		if err != nil {
			t.Fatal(err)
		}
		saved, err := tarball.ImageFromPath(path, &docker)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(saved); err != nil {
			t.Error(err)
		}
		checkConfig(t, saved, *entry.Platform, c, labels(c, of))
	}
}

// checkConfig compares what an engine reads before it runs an image.
func checkConfig(t *testing.T, image v1.Image, p v1.Platform, c component, labels map[string]string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{User: "65532:65532", WorkingDir: "/", Entrypoint: []string{"/" + c.binary}, Labels: labels}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Error(diff)
	}
	if !config.Platform().Equals(p) || !config.Created.Equal(config.History[0].Created.Time) {
		t.Errorf("for %s, want %s; created %s", config.Platform(), p, config.Created)
	}
}

// openLayout unpacks an archive and reads the index that it is of, with all digests
// checked.
func openLayout(t *testing.T, path string) (v1.ImageIndex, v1.Descriptor) {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	untar(t, f, dir)
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("index.json names %+v, %v", manifest, err)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	return index, manifest.Manifests[0]
}

// untar unpacks an archive into a folder that nothing in it can leave.
func untar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && h.Typeflag == tar.TypeDir {
			err = root.Mkdir(strings.TrimSuffix(h.Name, "/"), h.FileInfo().Mode().Perm())
		} else if err == nil {
			var f *os.File
			if f, err = root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, h.FileInfo().Mode().Perm()); err == nil {
				_, err = io.Copy(f, archive) //nolint:gosec // our own archive
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sameFiles fails the test when two files differ.
func sameFiles(t *testing.T, first, second string) {
	t.Helper()
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s and %s differ", first, second)
	}
}

func TestArchiveRefusesNames(t *testing.T) {
	t.Parallel()
	for _, reference := range []string{"atlhyper:v1+dirty", "Registry.example/Team/atlhyper:v1", "atlhyper:"} {
		if a, err := newArchive(reference, nil, nil); err == nil {
			t.Errorf("%q was accepted as %s", reference, a.reference)
		}
	}
}

// The bill names all that this test was linked from, and is the same twice.
func TestBOM(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	info.Deps = append(info.Deps, &debug.Module{Path: "example.com/Old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/New", Version: "v2.0.0+incompatible"}})
	c := components()[1]
	b := build{platform: amd64, info: map[string]*debug.BuildInfo{c.binary: info}}
	of := source{version: "v1.2.3", created: at}
	first, err := bom(c, b, of, []byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := bom(c, b, of, []byte("binary"))
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two bills of one binary differ; error %v", err)
	}
	if other, err := bom(c, b, of, []byte("another")); err != nil || bytes.Equal(first, other) {
		t.Errorf("two binaries have one bill; error %v", err)
	}

	var bill cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(first), cdx.BOMFileFormatJSON).Decode(&bill); err != nil {
		t.Fatal(err)
	}
	refs := make(map[string]cdx.Component)
	for _, part := range *bill.Components {
		refs[part.PackageURL] = part
	}
	if len(refs) != len(info.Deps)+1 {
		t.Errorf("%d components of %d modules and Go's library", len(refs), len(info.Deps))
	}
	for _, want := range []string{
		"pkg:golang/stdlib@" + strings.TrimPrefix(info.GoVersion, "go"), "pkg:golang/example.com/new@v2.0.0%2Bincompatible",
		"pkg:golang/github.com/cyclonedx/cyclonedx-go@v0.12.0",
	} {
		if _, ok := refs[want]; !ok {
			t.Errorf("no component is %s", want)
		}
	}
	if part := refs["pkg:golang/github.com/cyclonedx/cyclonedx-go@v0.12.0"]; part.Hashes == nil || len((*part.Hashes)[0].Value) != 64 {
		t.Errorf("%+v has no checksum", part)
	}
	if bill.Metadata.Component.Version != of.version || bill.Metadata.Timestamp != "2026-01-02T03:04:05Z" || bill.SpecVersion != cdx.SpecVersion1_6 {
		t.Errorf("metadata %+v", bill.Metadata)
	}
	if depends := (*bill.Dependencies)[0]; depends.Ref != bill.Metadata.Component.BOMRef || len(*depends.Dependencies) != len(refs) {
		t.Errorf("%s depends on %d components", depends.Ref, len(*depends.Dependencies))
	}
	info.Deps[0].Sum = "h1:***"
	if _, err := bom(c, b, of, nil); err == nil || !strings.Contains(err.Error(), info.Deps[0].Path) {
		t.Errorf("a bad checksum: %v", err)
	}
}

func infoOf(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
	return &debug.BuildInfo{Main: debug.Module{Path: module, Version: version}, Settings: settings}
}

func TestSource(t *testing.T) {
	t.Parallel()
	commit := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}
	of := func(infos ...*debug.BuildInfo) []build {
		var all []build
		for _, info := range infos {
			all = append(all, build{platform: amd64, info: map[string]*debug.BuildInfo{"master": info}})
		}
		return all
	}
	got, err := sourceOf(of(infoOf("v1.2.3+dirty", commit...), infoOf("v1.2.3+dirty", commit...)), 0)
	if want := (source{version: "v1.2.3+dirty", revision: "abc", modified: true, created: at}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got.tag() != "v1.2.3_dirty" {
		t.Errorf("tag %q", got.tag())
	}
	got, err = sourceOf(of(infoOf("v1.2.3", commit...)), 1)
	if err != nil || got.created.Unix() != 1 {
		t.Errorf("SOURCE_DATE_EPOCH=1: %+v, %v", got, err)
	}
	got, err = sourceOf(of(infoOf("(devel)")), 1)
	if err != nil || got.tag() != "devel" || got.revision != "" {
		t.Errorf("without a commit: %+v, %v", got, err)
	}
	for want, bad := range map[string][]build{
		"SOURCE_DATE_EPOCH": of(infoOf("(devel)")),
		"the tree changed":  of(infoOf("v1", commit...), infoOf("v2", commit...)),
		"time of the":       of(infoOf("v1", debug.BuildSetting{Key: "vcs.time", Value: "yesterday"})),
	} {
		if _, err := sourceOf(bad, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	good := []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "GOAMD64", Value: "v1"}, {Key: "vcs.revision", Value: "abc"}}
	if err := checkSettings(infoOf("v1", good...)); err != nil {
		t.Error(err)
	}
	for _, bad := range []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "1"}, {Key: "GOEXPERIMENT", Value: "x"}, {Key: "-tags", Value: "x"}} {
		if err := checkSettings(infoOf("v1", bad)); err == nil || !strings.Contains(err.Error(), bad.Key+"="+bad.Value) {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	// A program that needs libraries, and one that is for another machine.
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkStatic(redis, amd64); err == nil || !strings.Contains(err.Error(), "static") {
		t.Errorf("redis-server: %v, want it refused", err)
	}
	if err := checkStatic(redis, v1.Platform{Architecture: "s390x"}); err == nil || !strings.Contains(err.Error(), "is for") {
		t.Errorf("redis-server: %v, want it refused", err)
	}
}
