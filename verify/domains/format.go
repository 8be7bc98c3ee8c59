package domains

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// The map file as it is written: the keys of Parse, in their order.
type (
	fileMap struct {
		Firm        string       `json:"firm" yaml:"firm"`
		Approver    string       `json:"approver" yaml:"approver"`
		UnusedAfter uint32       `json:"unused_after_days,omitempty" yaml:"unused_after_days,omitempty"`
		People      []filePerson `json:"people" yaml:"people"`
		Domains     []fileDomain `json:"domains" yaml:"domains"`
		Flows       []fileFlow   `json:"flows,omitempty" yaml:"flows,omitempty"`
	}
	filePerson struct {
		ID         string   `json:"id" yaml:"id"`
		Identities []string `json:"identities" yaml:"identities,flow"`
	}
	fileDomain struct {
		ID             string         `json:"id" yaml:"id"`
		Aliases        []string       `json:"aliases,omitempty" yaml:"aliases,omitempty,flow"`
		Function       string         `json:"function" yaml:"function"`
		Tier           string         `json:"tier" yaml:"tier"`
		Risk           string         `json:"risk" yaml:"risk"`
		Owner          string         `json:"owner" yaml:"owner"`
		DNS            []string       `json:"dns,omitempty" yaml:"dns,omitempty,flow"`
		Hosting        *fileHosting   `json:"hosting,omitempty" yaml:"hosting,omitempty,flow"`
		Issuer         *fileIssuer    `json:"issuer,omitempty" yaml:"issuer,omitempty"`
		Gateways       []string       `json:"gateways,omitempty" yaml:"gateways,omitempty,flow"`
		Collectors     []string       `json:"collectors,omitempty" yaml:"collectors,omitempty,flow"`
		Producers      []fileProducer `json:"producers,omitempty" yaml:"producers,omitempty"`
		RetentionClass string         `json:"retention_class,omitempty" yaml:"retention_class,omitempty"`
		ClockLimit     string         `json:"clock_limit,omitempty" yaml:"clock_limit,omitempty"`
	}
	fileHosting struct {
		Account string `json:"account,omitempty" yaml:"account,omitempty"`
		Network string `json:"network,omitempty" yaml:"network,omitempty"`
		Region  string `json:"region,omitempty" yaml:"region,omitempty"`
	}
	fileIssuer struct {
		CAs  []string `json:"cas,omitempty" yaml:"cas,omitempty"`
		OIDC string   `json:"oidc,omitempty" yaml:"oidc,omitempty"`
	}
	fileProducer struct {
		ID      string `json:"id" yaml:"id"`
		Silence string `json:"silence,omitempty" yaml:"silence,omitempty"`
	}
	fileFlow struct {
		ID            string     `json:"id" yaml:"id"`
		From          string     `json:"from" yaml:"from"`
		To            string     `json:"to" yaml:"to"`
		Actions       []string   `json:"actions" yaml:"actions,flow"`
		Purpose       string     `json:"purpose" yaml:"purpose"`
		Approver      string     `json:"approver" yaml:"approver"`
		Ticket        string     `json:"ticket,omitempty" yaml:"ticket,omitempty"`
		Valid         *fileValid `json:"valid,omitempty" yaml:"valid,omitempty,flow"`
		LeastProof    string     `json:"least_proof,omitempty" yaml:"least_proof,omitempty"`
		Observers     []string   `json:"observers,omitempty" yaml:"observers,omitempty,flow"`
		Needs         string     `json:"needs,omitempty" yaml:"needs,omitempty"`
		CrossesRegion bool       `json:"crosses_region,omitempty" yaml:"crosses_region,omitempty"`
		Mode          string     `json:"mode" yaml:"mode"`
	}
	fileValid struct {
		From  string `json:"from,omitempty" yaml:"from,omitempty"`
		Until string `json:"until,omitempty" yaml:"until,omitempty"`
	}
)

// Format writes the messages of a document, in their order, as a file that
// Parse reads into them again. It does not look at doc.Yaml. note, where it is
// not nil, returns the comment on a path, such as `domains[web]` or
// `domains[web].tier`: one or more lines without `#`, empty for none. A line on a
// value of one line stands behind it, any other comment above.
func Format(doc *daybookv1.MapDocument, note func(path string) string) []byte {
	var root yaml.Node
	if err := root.Encode(fileOf(doc)); err != nil {
		panic("domains: a map cannot be encoded: " + err.Error()) // strings, numbers and lists of them
	}
	dates(&root)
	if note != nil {
		comment(&root, nil, note)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		panic("domains: a map cannot be encoded: " + err.Error())
	}
	return out.Bytes()
}

// FormatJSON writes the messages of a document as Format does, as indented JSON
// with the same keys. Parse reads that too.
func FormatJSON(doc *daybookv1.MapDocument) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(fileOf(doc)); err != nil {
		panic("domains: a map cannot be encoded: " + err.Error())
	}
	return out.Bytes()
}

// dates writes the values of `valid` as the dates and times they are, without
// quotes.
func dates(n *yaml.Node) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "valid" {
			for k := 1; k < len(c.Content); k += 2 {
				c.Content[k].Tag, c.Content[k].Style = "!!timestamp", 0
			}
			continue
		}
		dates(c)
	}
}

// comment puts notes on the values below a node.
func comment(n *yaml.Node, at *place, note func(string) string) {
	lines := func(text string) string { return "# " + strings.ReplaceAll(text, "\n", "\n# ") }
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			here := at.key(name.Value)
			if text := note(here.String()); text != "" && !strings.Contains(text, "\n") && (value.Kind == yaml.ScalarNode || value.Style&yaml.FlowStyle != 0) {
				value.LineComment = lines(text)
			} else if text != "" {
				name.HeadComment = lines(text)
			}
			comment(value, here, note)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			here := at.entry(nameOf(item, i))
			if text := note(here.String()); text != "" {
				item.HeadComment = lines(text)
			}
			comment(item, here, note)
		}
	}
}

// fileOf returns the file of a document's messages.
func fileOf(doc *daybookv1.MapDocument) *fileMap {
	f := &fileMap{Firm: doc.Firm, Approver: doc.Approver, UnusedAfter: doc.UnusedDays, People: []filePerson{}, Domains: []fileDomain{}}
	for _, p := range doc.People {
		f.People = append(f.People, fileOfPerson(p))
	}
	for _, d := range doc.Domains {
		f.Domains = append(f.Domains, fileOfDomain(d))
	}
	for _, flow := range doc.Flows {
		f.Flows = append(f.Flows, fileOfFlow(flow))
	}
	return f
}

func fileOfPerson(p *daybookv1.Person) filePerson {
	return filePerson{ID: p.Id, Identities: p.Identities}
}

func fileOfDomain(d *daybookv1.Domain) fileDomain {
	f := fileDomain{
		ID: d.Id, Aliases: d.Aliases, Function: d.Function, Tier: Word(d.Tier), Risk: Word(d.Risk), Owner: d.Owner, DNS: d.Dns,
		Gateways: d.Gateways, Collectors: d.Collectors, RetentionClass: d.RetentionClass,
	}
	if h := d.Hosting; h != nil {
		f.Hosting = &fileHosting{Account: h.Account, Network: h.Network, Region: h.Region}
	}
	if i := d.Issuer; i != nil {
		f.Issuer = &fileIssuer{OIDC: i.Oidc}
		for _, ca := range i.CaSha256 {
			f.Issuer.CAs = append(f.Issuer.CAs, hex.EncodeToString(ca))
		}
	}
	for _, p := range d.Producers {
		producer := fileProducer{ID: p.Id}
		if p.SilenceLimitNs != 0 {
			producer.Silence = formatDuration(time.Duration(p.SilenceLimitNs))
		}
		f.Producers = append(f.Producers, producer)
	}
	if d.ClockLimitNs != 0 {
		f.ClockLimit = formatDuration(time.Duration(d.ClockLimitNs))
	}
	return f
}

func fileOfFlow(f *daybookv1.Flow) fileFlow {
	out := fileFlow{
		ID: f.Id, From: f.From, To: f.To, Actions: f.Actions, Purpose: f.Purpose, Approver: f.Approver, Ticket: f.Ticket,
		LeastProof: Word(f.LeastProof), CrossesRegion: f.CrossesRegion, Mode: Word(f.Mode),
	}
	if f.NotBeforeNs != 0 || f.NotAfterNs != 0 {
		out.Valid = new(fileValid)
		if f.NotBeforeNs != 0 {
			out.Valid.From = formatInstant(f.NotBeforeNs)
		}
		if f.NotAfterNs != 0 {
			out.Valid.Until = formatInstant(f.NotAfterNs)
		}
	}
	for _, side := range f.Observers {
		out.Observers = append(out.Observers, Word(daybookv1.Side(side)))
	}
	if f.NeedsApproval {
		out.Needs = "approval"
	}
	return out
}
