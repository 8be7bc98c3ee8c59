// Package domains judges accesses against what was declared and approved.
//
// Everything in it is pure, so that an auditor gives each verdict again from the
// entries alone: [Parse] reads the domain map as people write it, [Judge] takes
// the entries that bring a version into force, approve and revoke, and
// [Judge.Evaluate] gives the verdict of an access. For example an access from
// `web` to `prod-db` has the verdict undeclared until a map with such a flow is
// in force, and authorized from then on.
package domains
