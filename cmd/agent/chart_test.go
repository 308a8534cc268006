package main

import (
	"testing"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

// A flag that is renamed, or taken away, breaks no installation unnoticed.
func TestChartsFlags(t *testing.T) {
	clitest.CheckChart(t, clitest.ChartConfig{
		Container: "agent", Command: func() any { return &flags{} }, Options: options(),
		Without: map[string]string{
			"instance":                "it is the pod's name",
			"redis-password":          "it would be seen: there is a file",
			"redis-sentinel-password": "it would be seen: there is a file",
			"kubeconfig":              "pods have a service account",
			"admin-listen":            "kubectl port-forward reaches the loopback address",
			"insecure-admin":          "kubectl port-forward reaches the loopback address",
		},
	})
}
