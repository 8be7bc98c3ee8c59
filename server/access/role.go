package access

import (
	"fmt"
	"strings"
)

// Role is a set of roles.
type Role uint16

// The roles. Producer is not granted to people: it is what the configuration's
// `access.ingest` gives. Anyone is every caller that was authenticated.
const (
	Producer Role = 1 << iota
	Reader
	Examiner
	Officer
	Operator
	Approver
	Mirror
	Anyone
)

var roleNames = []struct {
	role Role
	name string
}{
	{Producer, "producer"}, {Reader, "reader"}, {Examiner, "examiner"}, {Officer, "production-officer"},
	{Operator, "operator"}, {Approver, "approver"}, {Mirror, "mirror"}, {Anyone, "anyone"},
}

// grantable are the roles that a grant may name.
const grantable = Reader | Examiner | Officer | Operator | Approver | Mirror

// ParseRole returns the one role of this name, as a grant has it.
func ParseRole(name string) (Role, error) {
	var names []string
	for _, r := range roleNames {
		if r.role&grantable == 0 {
			continue
		}
		if r.name == name {
			return r.role, nil
		}
		names = append(names, r.name)
	}
	return 0, fmt.Errorf("%q is no role: name one of %s", name, strings.Join(names, ", "))
}

// Names returns the names of the roles in the set.
func (r Role) Names() []string {
	var names []string
	for _, n := range roleNames {
		if r&n.role != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// String implements fmt.Stringer.
func (r Role) String() string { return strings.Join(r.Names(), ", ") }
