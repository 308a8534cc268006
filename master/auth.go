package master

import (
	"fmt"
	"net"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/shared/httpserver"
)

// validateAuth refuses an API that is open to all but who may be meant: people on this
// machine.
func (c *Config) validateAuth() error {
	if err := c.Auth.Validate(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Listen)
	isOpen := c.Auth.Mode == "" || c.Auth.Mode == access.ModeNone
	if err != nil || !isOpen || c.InsecureNoAuth || httpserver.IsLoopback(host) {
		return err
	}
	return fmt.Errorf("listen: %q is not a loopback address, and with auth none whoever reaches it may see every cluster: "+
		"give --auth=tokens or --auth=oidc, or --insecure-no-auth if that is meant", c.Listen)
}

// openAccess makes what tells callers apart.
func (m *Master) openAccess() (err error) {
	cfg := m.cfg.Auth
	cfg.Metrics, cfg.Logger = m.metrics, m.cfg.Logger
	m.access, err = access.New(cfg)
	return err
}
