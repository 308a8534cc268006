//go:build !linux

package redistest

import "syscall"

// dieWithParent: only Linux can do it; elsewhere a killed test run leaves its
// server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
