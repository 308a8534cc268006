package clickhouse

import (
	"net"
	"net/netip"
)

// What tells nodes apart, best first. A process reached through federation
// keeps its instance in a label; the resource is the federating server's.
func nodeResourceKeys() []string {
	return []string{"k8s.node.name", "host.name", "server.address", "net.host.name", "service.instance.id"}
}

// identity is what a series says about the node it is of.
type identity struct {
	key string // tells nodes apart; never shown where there is a better name
	// named is true when key is the node's name and not an address.
	named bool
	ip    string // "" when no attribute is an address
	// raw is the attribute's value as it is stored, to find more series by.
	raw string
}

// identify finds the node of a series; ok is false where nothing tells.
func identify(s *series) (id identity, ok bool) {
	if instance := s.attributes["exported_instance"]; instance != "" {
		host := hostOf(instance)
		return identity{key: host, ip: ipOf(host), raw: instance}, true
	}
	for _, name := range nodeResourceKeys() {
		raw := s.resource[name]
		if raw == "" {
			continue
		}
		host := raw
		if name == "service.instance.id" {
			host = hostOf(raw)
		}
		if id.key == "" {
			named := name == "k8s.node.name" || name == "host.name"
			id = identity{key: host, named: named, raw: raw}
		}
		if id.ip == "" {
			id.ip = ipOf(host)
		}
	}
	return id, id.key != ""
}

// hostOf is host:port without the port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// ipOf is host if it is an IP address, else "".
func ipOf(host string) string {
	if _, err := netip.ParseAddr(host); err != nil {
		return ""
	}
	return host
}
