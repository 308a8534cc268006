package main

import (
	"fmt"
	"testing"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

// A flag that is renamed, or taken away, breaks no installation unnoticed.
func TestChartsFlags(t *testing.T) {
	clitest.CheckChart(t, clitest.ChartConfig{
		Container: "master", Command: func() any { return &flags{} }, Options: options(),
		Check: func(command any) error {
			f, ok := command.(*flags)
			if !ok {
				return fmt.Errorf("parsed into a %T", command)
			}
			return f.access().Validate()
		},
		Without: map[string]string{
			"replica":                 "it is the pod's name",
			"redis-password":          "it would be seen: there is a file",
			"redis-sentinel-password": "it would be seen: there is a file",
			"admin-listen":            "kubectl port-forward reaches the loopback address",
			"insecure-admin":          "kubectl port-forward reaches the loopback address",
		},
	})
}
