package main

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// archive is an OCI image layout in one tar, with an index of one image per platform.
// Beside it lies the manifest.json of "docker save", for engines that read no layout;
// they know no platforms, so that there each image has its architecture in the tag.
type archive struct {
	reference string
	digest    v1.Hash // of the index
	index     []byte  // index.json, which names the index
	docker    []byte  // manifest.json
	blobs     map[v1.Hash][]byte
}

// dockerImage is an entry of manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// newArchive puts images of one component into an archive under the reference
// "name:tag".
func newArchive(reference string, annotations map[string]string, images []v1.Image) (*archive, error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return nil, err
	}
	a := &archive{reference: reference, blobs: make(map[v1.Hash][]byte)}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var docker []dockerImage
	for _, image := range images {
		entry, platform, err := a.add(image)
		if err != nil {
			return nil, err
		}
		entry.RepoTags = []string{reference + "-" + platform.Architecture}
		docker = append(docker, entry)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	annotated, ok := mutate.Annotations(index, annotations).(v1.ImageIndex)
	if !ok {
		return nil, errors.New("an index with annotations is no index")
	}
	if a.docker, err = json.Marshal(docker); err != nil {
		return nil, err
	}
	return a, a.addIndex(annotated, tag)
}

// add takes the blobs of an image.
func (a *archive) add(image v1.Image) (dockerImage, *v1.Platform, error) {
	var entry dockerImage
	config, err := image.ConfigFile()
	if err != nil {
		return entry, nil, err
	}
	raw, err := image.RawConfigFile()
	if err != nil {
		return entry, nil, err
	}
	id, err := image.ConfigName()
	if err != nil {
		return entry, nil, err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return entry, nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return entry, nil, err
	}
	a.blobs[id], a.blobs[digest] = raw, manifest
	entry.Config = blob(id)
	layers, err := image.Layers()
	if err != nil {
		return entry, nil, err
	}
	for _, l := range layers {
		digest, err := a.addLayer(l)
		if err != nil {
			return entry, nil, err
		}
		entry.Layers = append(entry.Layers, blob(digest))
	}
	return entry, config.Platform(), nil
}

func (a *archive) addLayer(l v1.Layer) (v1.Hash, error) {
	digest, err := l.Digest()
	if err != nil {
		return digest, err
	}
	body, err := l.Compressed()
	if err != nil {
		return digest, err
	}
	a.blobs[digest], err = io.ReadAll(body)
	return digest, errors.Join(err, body.Close())
}

// addIndex takes the index over the images, and makes the one that names it.
func (a *archive) addIndex(index v1.ImageIndex, tag name.Tag) error {
	raw, err := index.RawManifest()
	if err != nil {
		return err
	}
	if a.digest, err = index.Digest(); err != nil {
		return err
	}
	a.blobs[a.digest] = raw
	a.index, err = json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: types.OCIImageIndex,
			Size:      int64(len(raw)),
			Digest:    a.digest,
			Annotations: map[string]string{
				// As containerd calls it: docker.io/library/atlhyper:v1.2.3.
				"io.containerd.image.name":          strings.Replace(tag.Name(), name.DefaultRegistry+"/", "docker.io/", 1),
				"org.opencontainers.image.ref.name": tag.TagStr(),
			},
		}},
	})
	return err
}

// blob is where a blob lies in the archive.
func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// writeFile writes the archive, which is there whole or not at all, and says how many
// bytes it has.
func (a *archive) writeFile(path string, created time.Time) (int64, error) {
	unfinished := path + ".unfinished"
	f, err := os.Create(unfinished)
	if err != nil {
		return 0, err
	}
	err = a.write(f, created)
	info, statErr := f.Stat()
	if err := errors.Join(err, statErr, f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(unfinished))
	}
	return info.Size(), os.Rename(unfinished, path)
}

func (a *archive) write(w io.Writer, created time.Time) error {
	out := tar.NewWriter(w)
	all := []file{
		{"oci-layout", 0o444, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o444, a.index},
		{"manifest.json", 0o444, a.docker},
		{"blobs/", fs.ModeDir | 0o755, nil},
		{"blobs/sha256/", fs.ModeDir | 0o755, nil},
	}
	for _, digest := range slices.SortedFunc(maps.Keys(a.blobs), func(x, y v1.Hash) int { return cmp.Compare(x.Hex, y.Hex) }) {
		all = append(all, file{blob(digest), 0o444, a.blobs[digest]})
	}
	for _, f := range all {
		if err := add(out, f, created); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return out.Close()
}
