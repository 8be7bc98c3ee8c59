package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/daybook-ledger/daybook/server/access"
)

// Flags are what a command line sets: it wins over the file.
type Flags struct {
	Listen      Listen // addresses that are set
	AllowRemote bool
	Anchor      string // default of the anchor
}

// Load reads a configuration, puts flags on top and completes it for a log whose
// trust domain is domain. dir is the folder of the file. The error names every
// fault; the configuration is then as far as it could be read, for [Explain].
func Load(text []byte, dir string, f Flags, domain string) (*Config, error) {
	c, err := decode(text)
	if c == nil {
		return new(Config), err
	}
	c.resolve(dir)
	c.Listen.Override(f.Listen)
	c.AllowRemote = c.AllowRemote || f.AllowRemote
	if c.Anchor == "" {
		c.Anchor = f.Anchor
	}
	return c, errors.Join(err, c.Complete(domain))
}

// Setting is one value of a configuration.
type Setting struct {
	Key    string `json:"key"`    // such as listen.query
	Value  string `json:"value"`  // in YAML's flow style
	Origin string `json:"origin"` // default, file or flag
}

// Explain returns every value of a completed configuration and where it is from:
// text is the file's.
func Explain(c *Config, text []byte, f Flags) ([]Setting, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("explaining the configuration: %w", err)
	}
	var all, file yaml.Node
	if err := yaml.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("explaining the configuration: %w", err)
	}
	inFile := make(map[string]bool)
	if yaml.Unmarshal(text, &file) == nil {
		walk(&file, "", func(key string, _ *yaml.Node) { inFile[key] = true })
	}
	var list []Setting
	walk(&all, "", func(key string, value *yaml.Node) {
		s := Setting{Key: key, Value: flow(value), Origin: "default"}
		switch {
		case f.sets(key):
			s.Origin = "flag"
		case inFile[key]:
			s.Origin = "file"
		}
		list = append(list, s)
	})
	return list, nil
}

// sets tells whether a flag sets a key.
func (f *Flags) sets(key string) bool {
	if key == "allow_remote" {
		return f.AllowRemote
	}
	name, ok := strings.CutPrefix(key, "listen.")
	return ok && f.Listen.of(name) != ""
}

// walk calls fn for every value that is no map: a list of plain values is one.
func walk(n *yaml.Node, key string, fn func(key string, value *yaml.Node)) {
	switch {
	case n.Kind == yaml.DocumentNode && len(n.Content) == 1:
		walk(n.Content[0], key, fn)
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for i := 0; i+1 < len(n.Content); i += 2 {
			walk(n.Content[i+1], strings.TrimPrefix(key+"."+n.Content[i].Value, "."), fn)
		}
	case n.Kind == yaml.SequenceNode && slices.ContainsFunc(n.Content, func(e *yaml.Node) bool { return e.Kind != yaml.ScalarNode }):
		for i, e := range n.Content {
			walk(e, fmt.Sprintf("%s[%d]", key, i), fn)
		}
	case n.Kind != 0 && n.Kind != yaml.DocumentNode:
		fn(key, n)
	}
}

// flow is a value on one line.
func flow(n *yaml.Node) string {
	one := *n
	one.Style |= yaml.FlowStyle
	b, err := yaml.Marshal(&one)
	if err != nil {
		return n.Value
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// Exposure says who can reach a listener, and what they may do there.
type Exposure struct {
	Listener string   `json:"listener"`
	Address  string   `json:"address"`
	Remote   bool     `json:"remote"` // other machines can reach it
	Secured  string   `json:"secured"`
	Who      []string `json:"who"`
}

// Exposed returns the exposure of every listener of a completed configuration.
func (c *Config) Exposed() ([]Exposure, error) {
	grants, err := c.Grants()
	if err != nil {
		return nil, err
	}
	var list []Exposure
	for _, l := range c.Listen.named() {
		host, _, err := net.SplitHostPort(*l.address)
		e := Exposure{Listener: l.name, Address: *l.address, Remote: err == nil && !loopback(host), Who: grants.Describe(l.name)}
		switch l.name {
		case access.Public:
			open := []string{"everybody who reaches it: /checkpoint; /tile, too, of a log made with public tiles"}
			e.Secured, e.Who = "plain HTTP, no identity", open
			if c.Listeners.Public.Certificate != "" {
				e.Secured, e.Who = "TLS, a client certificate or a token for /tile", append(open, grants.Describe(l.name)...)
			}
		case access.Operations:
			e.Secured, e.Who = "TLS, no identity", []string{"everybody who reaches it: /metrics, /healthz, /readyz"}
		default:
			e.Secured = "TLS with a client certificate"
			if c.takesTokens(l.name) {
				e.Secured = "TLS with a client certificate or a token"
			}
		}
		if trust := c.Listeners.Of(l.name).Trust; len(trust) > 0 {
			e.Secured += ", of " + strings.Join(slices.Sorted(maps.Keys(trust)), ", ") + " alone"
		}
		if len(e.Who) == 0 {
			e.Who = []string{"nobody"}
		}
		list = append(list, e)
	}
	return list, nil
}

// checkPublicTokens refuses tokens where they would be sent in clear.
func (c *Config) checkPublicTokens() error {
	if c.takesTokens(access.Public) && c.Listeners.Public.Certificate == "" {
		return errors.New("people.oidc.audience.public: the public listener speaks plain HTTP, where no token is taken: give it `listeners.public.certificate` and `key`")
	}
	return nil
}

func (c *Config) takesTokens(listener string) bool {
	return slices.ContainsFunc(c.People.OIDC, func(o OIDC) bool { return o.Audience[listener] != "" })
}
