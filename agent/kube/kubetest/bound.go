package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// bound returns what runs the program of assets so that it ends with the test
// process, also when that is killed: envtest starts programs in process groups of
// their own. That needs setpriv, which only Linux has. The process's id is written
// down, since envtest does not tell it.
func bound(assets, dir, name string) (string, error) {
	program, err := filepath.Abs(filepath.Join(assets, name))
	if err != nil {
		return "", err
	}
	command := fmt.Sprintf("'%s'", program)
	if setpriv, err := exec.LookPath("setpriv"); err == nil {
		command = fmt.Sprintf("'%s' --pdeathsig KILL %s", setpriv, command)
	}
	script := filepath.Join(dir, name)
	// envtest runs the program for its --help, too.
	text := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --help ] || echo $$ >'%s'\nexec %s \"$@\"\n", idFile(dir, name), command)
	return script, os.WriteFile(script, []byte(text), 0o700) //nolint:gosec // it is to be run
}

func idFile(dir, name string) string { return filepath.Join(dir, name+".pid") }

// processOf is the process that bound's script became.
func processOf(dir, name string) (*os.Process, error) {
	text, err := os.ReadFile(idFile(dir, name)) //nolint:gosec // a file of ours
	if err != nil {
		return nil, err
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the id of %s: %w", name, err)
	}
	return os.FindProcess(id)
}
