package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/shared/readfile"
)

// addTo adds the entry to the file, all of it or nothing: masters read it meanwhile. Others
// who add to it wait. A link stays one; owner and mode of the file stay as they are.
func addTo(name string, entry access.TokenEntry) (err error) {
	name, err = target(name)
	if err != nil {
		return err
	}
	unlock, err := lock(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	old, err := os.Stat(name)
	var data []byte
	if err == nil {
		data, err = readfile.Regular(name, access.MaxTokensFile)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	added, err := access.AddToken(data, entry)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return replace(name, old, added)
}

// target follows links to the file itself, which need not exist: a rename would put a file
// in the place of the link.
func target(name string) (string, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return name, nil
	}
	return filepath.EvalSymlinks(name)
}

// lock waits until nobody else holds the directory. It is the directory that is locked, since
// the file is replaced, and a file for the lock alone would stay behind.
func lock(dir string) (unlock func() error, err error) {
	held, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(held.Fd()), syscall.LOCK_EX)
		if err == nil {
			return held.Close, nil // which unlocks
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("%s: cannot be locked: %w", dir, err), held.Close())
		}
	}
}

// replace puts a file with the data in the place of the old one; nil: there is none.
func replace(name string, old fs.FileInfo, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o640)
	if old != nil {
		mode, err = old.Mode().Perm(), sameOwner(file, old)
	}
	_, errWrite := file.Write(data)
	if err := errors.Join(err, errWrite, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// sameOwner gives the file the owner and the group of the old one: who runs the command, root
// perhaps, is not who must read the file.
func sameOwner(file *os.File, old fs.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	is, isOK := info.Sys().(*syscall.Stat_t)
	was, wasOK := old.Sys().(*syscall.Stat_t)
	if !isOK || !wasOK || is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	return file.Chown(int(was.Uid), int(was.Gid))
}
