package drift

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// DomainTag is the tag that says which domain a resource belongs to, by id.
const DomainTag = "daybook:domain"

// maxResources bounds the resources of one state or plan.
const maxResources = 1 << 19

// maxModules bounds how deep modules lie in one another.
const maxModules = 64

// Infrastructure is what a state or plan of Terraform says of accounts, networks
// and security groups. AWS is understood; what other providers made is counted.
type Infrastructure struct {
	// Source is the file it is from.
	Source string
	// Plan tells that it is what a plan will make, not what stands.
	Plan bool
	// Skipped is how many resources are of no provider that is understood.
	Skipped int
	// Unknown is how many resources have no id yet.
	Unknown int
	// Unread is how many rules name a prefix list, whose addresses are elsewhere.
	Unread int

	resources []resource
}

// A resource is one resource of AWS.
type resource struct {
	address, typ string
	v            values
}

// ParseTerraform reads what `terraform show -json` prints of a state or a plan:
//
//	{"format_version": "1.0", "values": {"root_module": {"resources": [
//	  {"address": "aws_vpc.web", "mode": "managed", "type": "aws_vpc", "values": {
//	    "id": "vpc-0a", "owner_id": "111122223333", "cidr_block": "10.1.0.0/16", "tags": {"daybook:domain": "web"}}}],
//	  "child_modules": []}}}
//
// Of a plan the planned values are read.
func ParseTerraform(text []byte, source string) (*Infrastructure, error) {
	in, err := parseTerraform(text, source)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", source, err)
	}
	return in, nil
}

func parseTerraform(text []byte, source string) (*Infrastructure, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("it is over %d bytes", MaxBytes)
	}
	var shown struct {
		FormatVersion string    `json:"format_version"`
		Values        *tfValues `json:"values"`
		Planned       *tfValues `json:"planned_values"`
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		return nil, err
	}
	if major, _, _ := strings.Cut(shown.FormatVersion, "."); major != "0" && major != "1" {
		return nil, fmt.Errorf("its format_version %.16q is not known: is it the output of `terraform show -json`?", shown.FormatVersion)
	}
	in := &Infrastructure{Source: source}
	top := shown.Values
	if shown.Planned != nil {
		top, in.Plan = shown.Planned, true
	}
	if top == nil {
		return in, nil // a state that holds nothing
	}
	return in, in.addModule(&top.Root, 0)
}

type tfValues struct {
	Root tfModule `json:"root_module"`
}

type tfModule struct {
	Resources []tfResource `json:"resources"`
	Children  []tfModule   `json:"child_modules"`
}

type tfResource struct {
	Address string          `json:"address"`
	Mode    string          `json:"mode"`
	Type    string          `json:"type"`
	Values  json.RawMessage `json:"values"`
}

func (in *Infrastructure) addModule(m *tfModule, depth int) error {
	if depth > maxModules {
		return fmt.Errorf("modules lie over %d deep", maxModules)
	}
	for _, r := range m.Resources {
		if len(in.resources) == maxResources {
			return fmt.Errorf("it has over %d resources", maxResources)
		}
		if !strings.HasPrefix(r.Type, "aws_") {
			in.Skipped++
			continue
		}
		// aws_default_vpc and its like adopt what the account came with.
		parsed := resource{address: r.Address, typ: strings.Replace(r.Type, "aws_default_", "aws_", 1)}
		if len(r.Values) > 0 {
			// A field of another shape than in the types that matter is left out.
			var shape *json.UnmarshalTypeError
			if err := json.Unmarshal(r.Values, &parsed.v); err != nil && (!errors.As(err, &shape) || compared[parsed.typ]) {
				return fmt.Errorf("resource %.128q: %w", r.Address, err)
			}
		}
		if parsed.v.ID == "" {
			in.Unknown++
			parsed.v.ID = r.Address
		}
		in.Unread += parsed.v.prefixLists()
		in.resources = append(in.resources, parsed)
	}
	for i := range m.Children {
		if err := in.addModule(&m.Children[i], depth+1); err != nil {
			return err
		}
	}
	return nil
}

// compared are the types that make up networks: their fields must have the shape
// that is known.
var compared = map[string]bool{
	"aws_vpc": true, "aws_subnet": true, "aws_vpc_peering_connection": true, "aws_route": true, "aws_route_table": true,
	"aws_security_group": true, "aws_security_group_rule": true, "aws_vpc_security_group_ingress_rule": true,
	"aws_vpc_security_group_egress_rule": true, "aws_ec2_transit_gateway_vpc_attachment": true,
}

// values are the attributes that a comparison uses, of all types together.
type values struct {
	ID     string             `json:"id"`
	ARN    string             `json:"arn"`
	Owner  string             `json:"owner_id"`
	Region string             `json:"region"`
	Tags   map[string]*string `json:"tags"`
	All    map[string]*string `json:"tags_all"`
	VPC    string             `json:"vpc_id"`
	Subnet string             `json:"subnet_id"`

	CIDR    string   `json:"cidr_block"`
	CIDR6   string   `json:"ipv6_cidr_block"`
	Subnets []string `json:"subnets"`
	Groups  []string `json:"vpc_security_group_ids"`
	Also    []string `json:"security_groups"`
	Config  []placed `json:"vpc_config"`
	Network []placed `json:"network_configuration"`

	PeerVPC   string    `json:"peer_vpc_id"`
	PeerOwner string    `json:"peer_owner_id"`
	Accept    string    `json:"accept_status"`
	Gateway   string    `json:"transit_gateway_id"`
	Peering   string    `json:"vpc_peering_connection_id"`
	Table     string    `json:"route_table_id"`
	To        string    `json:"destination_cidr_block"`
	Routes    []tfRoute `json:"route"`

	Ingress  []tfRule `json:"ingress"`
	Egress   []tfRule `json:"egress"`
	Kind     string   `json:"type"`
	Group    string   `json:"security_group_id"`
	Source   string   `json:"source_security_group_id"`
	Refers   string   `json:"referenced_security_group_id"`
	CIDRv4   string   `json:"cidr_ipv4"`
	CIDRv6   string   `json:"cidr_ipv6"`
	CIDRs    []string `json:"cidr_blocks"`
	CIDR6s   []string `json:"ipv6_cidr_blocks"`
	From     *float64 `json:"from_port"`
	Until    *float64 `json:"to_port"`
	Protocol string   `json:"protocol"`
	IP       string   `json:"ip_protocol"`
	List     string   `json:"prefix_list_id"`
	Lists    []string `json:"prefix_list_ids"`
}

// placed says where a function or service runs.
type placed struct {
	Subnets   []string `json:"subnet_ids"`
	Also      []string `json:"subnets"`
	Groups    []string `json:"security_group_ids"`
	AlsoGroup []string `json:"security_groups"`
}

type tfRoute struct {
	To      string `json:"cidr_block"`
	Peering string `json:"vpc_peering_connection_id"`
	Gateway string `json:"transit_gateway_id"`
}

type tfRule struct {
	From     *float64 `json:"from_port"`
	Until    *float64 `json:"to_port"`
	Protocol string   `json:"protocol"`
	CIDRs    []string `json:"cidr_blocks"`
	CIDR6s   []string `json:"ipv6_cidr_blocks"`
	Groups   []string `json:"security_groups"`
	Lists    []string `json:"prefix_list_ids"`
}

// prefixLists counts the rules that name a prefix list.
func (v *values) prefixLists() int {
	n := 0
	for _, r := range slices.Concat(v.Ingress, v.Egress) {
		if len(r.Lists) > 0 {
			n++
		}
	}
	if v.List != "" || len(v.Lists) > 0 {
		n++
	}
	return n
}

// tag returns the value of a tag.
func (v *values) tag(key string) string {
	for _, tags := range []map[string]*string{v.Tags, v.All} {
		if s := tags[key]; s != nil {
			return *s
		}
	}
	return ""
}

// account and region are those of the ARN, where nothing says them itself.
func (v *values) account() string {
	if v.Owner != "" {
		return v.Owner
	}
	return v.arnField(4)
}

func (v *values) region() string {
	if v.Region != "" {
		return v.Region
	}
	return v.arnField(3)
}

func (v *values) arnField(n int) string {
	if f := strings.SplitN(v.ARN, ":", 6); len(f) == 6 && f[0] == "arn" {
		return f[n]
	}
	return ""
}

// groups are the security groups that are attached to a resource.
func (v *values) groups() []string {
	out := slices.Concat(v.Groups, v.Also)
	for _, p := range slices.Concat(v.Config, v.Network) {
		out = append(append(out, p.Groups...), p.AlsoGroup...)
	}
	return out
}

// subnets are those that a resource lies in.
func (v *values) subnets() []string {
	out := slices.Clone(v.Subnets)
	if v.Subnet != "" {
		out = append(out, v.Subnet)
	}
	for _, p := range slices.Concat(v.Config, v.Network) {
		out = append(append(out, p.Subnets...), p.Also...)
	}
	return out
}

// prefixes reads CIDR blocks; what is none is left out.
func prefixes(lists ...[]string) []netip.Prefix {
	var out []netip.Prefix
	for _, list := range lists {
		for _, text := range list {
			if p, err := netip.ParsePrefix(text); err == nil {
				out = append(out, p.Masked())
			}
		}
	}
	return out
}
