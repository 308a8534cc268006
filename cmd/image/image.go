package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one of an image's, owned by root.
type file struct {
	name string      // without a leading /
	mode fs.FileMode // with fs.ModeDir for a folder
	body []byte
}

// files is all that an image holds. Nobody may write any of it.
func files(c component, binary, bill []byte) []file {
	return []file{
		{c.binary, 0o555, binary},
		{"etc/", fs.ModeDir | 0o755, nil},
		{"etc/group", 0o444, fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", userID)},
		{"etc/passwd", 0o444, fmt.Appendf(nil, "root:x:0:0:root:/:/nonexistent\nnonroot:x:%d:%[1]d:nonroot:/:/nonexistent\n", userID)},
		{"sbom.cdx.json", 0o444, bill},
	}
}

// layer is the files as a gzipped tar, which says of its making no more than created.
func layer(all []file, created time.Time) (v1.Layer, error) {
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	archive := tar.NewWriter(zip)
	for _, f := range slices.SortedFunc(slices.Values(all), func(a, b file) int { return strings.Compare(a.name, b.name) }) {
		if err := add(archive, f, created); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(compressed.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// add writes one file into a tar.
func add(archive *tar.Writer, f file, created time.Time) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: f.name, Mode: int64(f.mode.Perm()), Size: int64(len(f.body)),
		ModTime: created, Format: tar.FormatUSTAR,
	}
	if f.mode.IsDir() {
		header.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(f.body)
	return err
}

// labels are what the image says of itself, by the names of the OCI.
func labels(c component, of source) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.title":       c.title,
		"org.opencontainers.image.description": c.description,
		"org.opencontainers.image.version":     of.version,
		"org.opencontainers.image.created":     of.created.Format(time.RFC3339),
		"org.opencontainers.image.source":      "https://" + module,
		"org.opencontainers.image.url":         "https://" + module,
	}
	if of.revision != "" {
		all["org.opencontainers.image.revision"] = of.revision
	}
	return all
}

// module is where the source is.
const module = "github.com/atlhyper/observe"

// newImage is the image of a component for one platform.
func newImage(c component, p v1.Platform, of source, content v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer:   content,
		History: v1.History{Created: v1.Time{Time: of.created}, CreatedBy: "make image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Created = v1.Time{Time: of.created}
	config.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: []string{"/" + c.binary}, Labels: labels(c, of),
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	return annotated(image, labels(c, of))
}

// annotated is an image whose manifest says what its labels say.
func annotated(image v1.Image, all map[string]string) (v1.Image, error) {
	with, ok := mutate.Annotations(image, all).(v1.Image)
	if !ok {
		return nil, errors.New("an image with annotations is no image")
	}
	return with, nil
}

// write writes the tar of a component's images, and their bills of materials.
func (f flags) write(c component, built []build, of source, out *printer) error {
	all := make([]v1.Image, len(built))
	for i, b := range built {
		binary, err := os.ReadFile(b.path(c))
		if err != nil {
			return err
		}
		bill, err := bom(c, b, of, binary)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%s-%s.cdx.json", c.image, b.platform.OS, b.platform.Architecture)
		if err := os.WriteFile(filepath.Join(f.Output, name), bill, 0o644); err != nil { //nolint:gosec // to be read by all
			return err
		}
		content, err := layer(files(c, binary, bill), of.created)
		if err != nil {
			return err
		}
		if all[i], err = newImage(c, b.platform, of, content); err != nil {
			return err
		}
	}
	tag := f.Tag
	if tag == "" {
		tag = of.tag()
	}
	a, err := newArchive(f.Prefix+c.image+":"+tag, labels(c, of), all)
	if err != nil {
		return err
	}
	name := filepath.Join(f.Output, c.image+".tar")
	size, err := a.writeFile(name, of.created)
	if err != nil {
		return err
	}
	out.say("%s  %s@%s  %s  %.1f MB\n", name, a.reference, a.digest, strings.Join(f.Platforms, ","), float64(size)/1e6)
	return nil
}
