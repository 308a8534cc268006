package readfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/atlhyper/observe/shared/readfile"
)

func TestRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, []byte("12345"), 0o600), os.Symlink(file, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		if data, err := readfile.Regular(name, 5); err != nil || string(data) != "12345" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if data, err := readfile.Regular(file, 4); err == nil || err.Error() != file+": is larger than 4 bytes" || data != nil {
		t.Errorf("one byte too many: %q, %v", data, err)
	}
	// Nobody writes to the pipe.
	for _, name := range []string{pipe, dir, os.DevNull} {
		if _, err := readfile.Regular(name, 5); err == nil || err.Error() != name+": is not a regular file" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readfile.Regular(filepath.Join(dir, "none"), 5); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("no file: %v", err)
	}
}
