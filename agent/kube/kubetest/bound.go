package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bound returns what runs the program of assets so that it ends with the test
// process, also when that is killed: envtest starts programs in process groups of
// their own. Where there is no setpriv, the program itself is returned.
func bound(assets, dir, name string) (string, error) {
	program, err := filepath.Abs(filepath.Join(assets, name))
	if err != nil {
		return "", err
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		return program, nil //nolint:nilerr // only Linux has it
	}
	script := filepath.Join(dir, name)
	text := fmt.Sprintf("#!/bin/sh\nexec '%s' --pdeathsig KILL '%s' \"$@\"\n", setpriv, program)
	return script, os.WriteFile(script, []byte(text), 0o700) //nolint:gosec // it is to be run
}
