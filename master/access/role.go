package access

import "fmt"

// Role is what a caller may do. Each may do what those before it may.
type Role uint8

// The roles; the zero Role may do nothing.
const (
	Viewer   Role = iota + 1 // dashboards, lists, the fleet, event streams
	Operator                 // also details, which run on the agents: traces, logs, series
)

// Covers tells whether the role may do what the other may.
func (r Role) Covers(other Role) bool { return r >= other }

// String implements fmt.Stringer.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	default:
		return ""
	}
}

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	for _, r := range []Role{Viewer, Operator} {
		if name == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role: %.40q is neither %s nor %s", name, Viewer, Operator)
}
