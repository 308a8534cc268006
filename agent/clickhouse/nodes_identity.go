package clickhouse

import (
	"cmp"
	"net"
	"net/netip"
)

const k8sNodeName = "k8s.node.name"

// What tells nodes apart, best first. A process reached through federation
// keeps its instance in a label; the resource is the federating server's.
func nodeResourceKeys() []string {
	return []string{k8sNodeName, "host.name", "server.address", "net.host.name", "service.instance.id"}
}

// nodeAttributes are all that identify reads of a resource.
func nodeAttributes() []string { return append(nodeResourceKeys(), "server.port", "net.host.port") }

// identity is what a series says about the node it is of.
type identity struct {
	key string // tells nodes apart; never shown where there is a better name
	// named is true when key is the node's name and not an address.
	named bool
	// assigned is true when key is the name that Kubernetes knows the node by.
	assigned bool
	ip       string // "" when no attribute is an address
	// raw is the attribute's value as it is stored, to find more series by.
	raw string
	// endpoint is what was scraped: all that tells machines apart where several
	// have one key.
	endpoint endpoint
}

// endpoint is where metrics were scraped; both are "" of those that were pushed.
type endpoint struct{ host, port string }

func (e endpoint) String() string {
	if e.port == "" {
		return e.host
	}
	return net.JoinHostPort(e.host, e.port)
}

func (e endpoint) compare(o endpoint) int {
	return cmp.Or(cmp.Compare(e.host, o.host), cmp.Compare(e.port, o.port))
}

// identify finds the node of a series; ok is false where nothing tells.
func identify(s *series) (id identity, ok bool) {
	if instance := s.attributes["exported_instance"]; instance != "" {
		at := endpointOf(instance)
		return identity{key: at.host, ip: ipOf(at.host), raw: instance, endpoint: at}, true
	}
	for _, name := range nodeResourceKeys() {
		raw := s.resource[name]
		if raw == "" {
			continue
		}
		host := raw
		if name == "service.instance.id" {
			host = endpointOf(raw).host
		}
		if id.key == "" {
			assigned := name == k8sNodeName
			id = identity{key: host, named: assigned || name == "host.name", assigned: assigned, raw: raw}
		}
		if id.ip == "" {
			id.ip = ipOf(host)
		}
	}
	id.endpoint = scrapedAt(s.resource)
	return id, id.key != ""
}

// scrapedAt is the endpoint that a resource says. An instance without a port is
// an ID and no address.
func scrapedAt(resource labels) endpoint {
	instance := endpointOf(resource["service.instance.id"])
	if instance.port == "" {
		instance.host = ""
	}
	return endpoint{
		host: cmp.Or(resource["server.address"], resource["net.host.name"], instance.host),
		port: cmp.Or(instance.port, resource["server.port"], resource["net.host.port"]),
	}
}

// endpointOf takes host:port apart; an address without a port is a host.
func endpointOf(address string) endpoint {
	if host, port, err := net.SplitHostPort(address); err == nil {
		return endpoint{host, port}
	}
	return endpoint{host: address}
}

// ipOf is host if it is an IP address, else "".
func ipOf(host string) string {
	if _, err := netip.ParseAddr(host); err != nil {
		return ""
	}
	return host
}
