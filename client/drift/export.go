package drift

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ParseRoute53 reads what `aws route53 list-resource-record-sets` prints:
//
//	{"ResourceRecordSets": [
//	  {"Name": "www.example.com.", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "192.0.2.10"}]},
//	  {"Name": "example.com.", "Type": "A", "AliasTarget": {"DNSName": "d1.cloudfront.net.", "HostedZoneId": "Z2"}}]}
//
// An export that ends before the zone does is refused.
func ParseRoute53(text []byte, source string) (*Zone, error) {
	z := &Zone{Kind: "route53", Source: source}
	err := eachDocument(text, func(d *json.Decoder) error {
		var page route53Page
		if err := d.Decode(&page); err != nil {
			return err
		}
		if page.Sets == nil {
			return errors.New("it has no ResourceRecordSets: is it the output of `aws route53 list-resource-record-sets`?")
		}
		if page.IsTruncated || page.NextToken != "" {
			return errors.New("it ends before the zone does: export it without --max-items and --no-paginate")
		}
		return z.addSets(page.Sets)
	})
	if err != nil {
		return nil, fmt.Errorf("parsing Route 53 export %s: %w", source, err)
	}
	return z.complete()
}

type route53Page struct {
	Sets        []route53Set `json:"ResourceRecordSets"`
	IsTruncated bool         `json:"IsTruncated"`
	NextToken   string       `json:"NextToken"`
}

type route53Set struct {
	Name    string `json:"Name"`
	Type    string `json:"Type"`
	Records []struct {
		Value string `json:"Value"`
	} `json:"ResourceRecords"`
	Alias *struct {
		DNSName string `json:"DNSName"`
	} `json:"AliasTarget"`
}

func (z *Zone) addSets(sets []route53Set) error {
	for _, s := range sets {
		if s.Type == "SOA" {
			z.Origin = unescape(canonical(s.Name), 8)
		}
		if s.Alias != nil {
			if err := z.addRecord(s.Name, "ALIAS", s.Alias.DNSName); err != nil {
				return err
			}
		}
		for _, r := range s.Records {
			if err := z.addRecord(s.Name, s.Type, r.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// ParseCloudflare reads an export of Cloudflare: a zone file, or the answers of
// the API's list of DNS records, one after another:
//
//	{"success": true, "result": [{"name": "www.example.com", "type": "CNAME", "content": "example.com", "proxied": true}],
//	 "result_info": {"page": 1, "total_pages": 1, "total_count": 1}}
//
// Answers that leave pages out are refused.
func ParseCloudflare(text []byte, origin, source string) (*Zone, error) {
	if begin := bytes.TrimSpace(text); len(begin) == 0 || begin[0] != '{' {
		z, err := ParseZone(text, origin, source)
		if z != nil {
			z.Kind = "cloudflare"
		}
		return z, err
	}
	z := &Zone{Kind: "cloudflare", Source: source, Origin: canonical(origin)}
	total := -1
	err := eachDocument(text, func(d *json.Decoder) error {
		var page cloudflarePage
		if err := d.Decode(&page); err != nil {
			return err
		}
		if page.Result == nil || page.Success != nil && !*page.Success {
			return errors.New("it has no result: is it an answer of the API's list of DNS records?")
		}
		if page.Info.TotalCount != nil {
			total = *page.Info.TotalCount
		}
		return z.addResults(page.Result)
	})
	if err == nil && total > len(z.Records) {
		err = fmt.Errorf("it has %d of %d records: put the answers for all pages into the file, one after another", len(z.Records), total)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing Cloudflare export %s: %w", source, err)
	}
	return z.complete()
}

type cloudflarePage struct {
	Success *bool              `json:"success"`
	Result  []cloudflareRecord `json:"result"`
	Info    struct {
		TotalCount *int `json:"total_count"`
	} `json:"result_info"`
}

type cloudflareRecord struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Content  string `json:"content"`
	ZoneName string `json:"zone_name"`
}

func (z *Zone) addResults(records []cloudflareRecord) error {
	for _, r := range records {
		if z.Origin == "" {
			z.Origin = canonical(r.ZoneName)
		}
		if err := z.addRecord(r.Name, r.Type, r.Content); err != nil {
			return err
		}
	}
	return nil
}

// complete finds the origin where the export does not say it.
func (z *Zone) complete() (*Zone, error) {
	if z.Origin == "" {
		z.Origin = commonZone(z.Records)
	}
	if z.Origin == "" {
		return nil, fmt.Errorf("parsing %s export %s: it does not say which zone it is of", z.Kind, z.Source)
	}
	return z, nil
}

// eachDocument calls visit for each of the JSON documents that follow one another.
func eachDocument(text []byte, visit func(*json.Decoder) error) error {
	if len(text) > MaxBytes {
		return fmt.Errorf("it is over %d bytes", MaxBytes)
	}
	for n := 0; ; n++ {
		if text = bytes.TrimSpace(text); len(text) == 0 && n > 0 {
			return nil
		} else if len(text) == 0 {
			return errors.New("it is empty")
		}
		d := json.NewDecoder(bytes.NewReader(text))
		if err := visit(d); err != nil {
			return err
		}
		text = text[d.InputOffset():]
	}
}
