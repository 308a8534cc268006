package kubetest

import (
	"strconv"
	"testing"
)

// No two servers have a port in common, whether they have begun to listen or not.
func TestPortsAreOneServersAlone(t *testing.T) {
	t.Parallel()
	taken := make(map[string]bool)
	for range 200 {
		p, err := holdPorts()
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.release(); err != nil {
				t.Error(err)
			}
		}()
		for _, port := range []string{p.etcd, p.api} {
			number, err := strconv.Atoi(port)
			if err == nil {
				err = free(number)
			}
			if err != nil || taken[port] {
				t.Errorf("port %s is another server's: %t; %v", port, taken[port], err)
			}
			taken[port] = true
		}
	}
}
