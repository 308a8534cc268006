// Package serve measures what masters, agents and Redis cost when dashboards and
// details are asked for: make bench. ../README.md says how to read what it prints.
//
// All that is compared is measured in one run, on this machine's loopback, in rounds
// that take turns: the product's processes, a server that writes the same bytes and
// does nothing else, one that decodes and encodes for each request, and bare Redis
// commands.
package serve
