// Command image builds the container images of the product as tars, without a
// container engine: the binaries for each platform, an image of each, an index over
// the platforms, and what is in it as CycloneDX. The same commit and the same Go give
// the same bytes, on any machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/atlhyper/observe/cmd/internal/cli"
)

type flags struct {
	Source    string   `help:"Root of the module." default:"." type:"existingdir" env:"-"`
	Output    string   `help:"Folder that the tars and the bills of materials are written into." default:"out/image" type:"path" env:"-"`
	Prefix    string   `help:"What the names of the images begin with: registry.example/team/; by default nothing." placeholder:"TEXT" env:"-"`
	Tag       string   `help:"Tag of the images; by default the version, with _ for +." placeholder:"TEXT" env:"-"`
	Platforms []string `help:"What to build for: linux/amd64, linux/arm64." default:"linux/amd64,linux/arm64" enum:"linux/amd64,linux/arm64" env:"-"`

	SourceDateEpoch int64 `help:"Seconds since 1970 that everything is dated; by default the time of the commit." placeholder:"N" env:"SOURCE_DATE_EPOCH"`
}

func main() {
	var f flags
	kong.Parse(&f, cli.Options("image", "Builds the container images of AtlHyper Observe.", nil)...)
	cli.Main(func(ctx context.Context) error { return run(ctx, f, os.Stdout) })
}

// run builds all images and says on w what became of them.
func run(ctx context.Context, f flags, w io.Writer) error {
	platforms := make([]v1.Platform, len(f.Platforms))
	for i, text := range f.Platforms {
		p, err := v1.ParsePlatform(text)
		if err != nil {
			return fmt.Errorf("image: %w", err)
		}
		platforms[i] = *p
	}
	dir, err := os.MkdirTemp("", "atlhyper-image-")
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	out := &printer{w: w}
	err = f.buildAll(ctx, platforms, dir, out)
	return errors.Join(err, out.err, os.RemoveAll(dir))
}

// buildAll builds all images, with the binaries in dir.
func (f flags) buildAll(ctx context.Context, platforms []v1.Platform, dir string, out *printer) error {
	built := make([]build, len(platforms))
	for i, p := range platforms {
		out.say("building for %s\n", p)
		var err error
		if built[i], err = compile(ctx, f.Source, dir, p); err != nil {
			return err
		}
	}
	of, err := sourceOf(built, f.SourceDateEpoch)
	if err != nil {
		return err
	}
	if of.modified {
		out.say("the tree has changes that are in no commit: nobody else can build these images\n")
	}
	if err := os.MkdirAll(f.Output, 0o755); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	for _, c := range components() {
		if err := f.write(c, built, of, out); err != nil {
			return fmt.Errorf("image: %s: %w", c.image, err)
		}
	}
	out.say("version %s, of %s\n", of.version, of.created.Format(time.RFC3339))
	return nil
}

// printer writes until that fails once, and then says so in err.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) say(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
