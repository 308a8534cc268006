// Package readfile reads the files that flags name.
package readfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Regular reads a regular file of at most so many bytes. Links are followed; a pipe, a
// device or a directory is refused. Errors name the file.
func Regular(name string, most int64) (data []byte, err error) {
	// To open a pipe without O_NONBLOCK takes until somebody writes to it: for good, perhaps,
	// and no context ends it.
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	switch info, err := file.Stat(); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", name)
	}
	switch data, err = io.ReadAll(io.LimitReader(file, most+1)); {
	case err != nil:
		return nil, err
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%s: is larger than %d bytes", name, most)
	}
	return data, nil
}
