package sample_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// pseudonyms replaces names consistently: by a count in the order in which they
// first stand in the file, so that nothing of the name is left in what replaces
// it.
type pseudonyms struct {
	byName map[string]string
	counts map[string]int
	// words finds the names that were learned.
	words *regexp.Regexp
}

func newPseudonyms() *pseudonyms {
	return &pseudonyms{byName: map[string]string{}, counts: map[string]int{}}
}

// replace returns the pseudonym of a name; format takes its count.
func (p *pseudonyms) replace(class, name, format string) string {
	key := class + "\x00" + name
	if s, ok := p.byName[key]; ok {
		return s
	}
	p.counts[class]++
	p.byName[key] = fmt.Sprintf(format, p.counts[class])
	return p.byName[key]
}

// named are the keys whose values are names of people, buckets and hosts, and
// what replaces them.
var named = map[string]string{
	"bucketName": "bucket-%d", "userName": "user-%d", "roleName": "role-%d",
	"clientMemberCode": "1000%04d", "serviceMemberCode": "1000%04d",
	"clientmembercode": "1000%04d", "servicemembercode": "1000%04d",
	"clientSubsystemCode": "subsystem-%d", "serviceSubsystemCode": "subsystem-%d",
	"clientsubsystemcode": "subsystem-%d", "servicesubsystemcode": "subsystem-%d",
	"serviceCode": "service%d", "servicecode": "service%d",
	"clientXRoadInstance": "instance-%d", "serviceXRoadInstance": "instance-%d",
	"clientxroadinstance": "instance-%d", "servicexroadinstance": "instance-%d",
	"clientSecurityServerAddress": "ss%d.example.org", "serviceSecurityServerAddress": "ss%d.example.org",
	"clientsecurityserveraddress": "ss%d.example.org", "servicesecurityserveraddress": "ss%d.example.org",
	"messageUserId": "user-%d",
}

var bucketInText = regexp.MustCompile(`'bucketName': '([^']+)'`)

// learn collects all names, so that they are replaced wherever they stand.
func (p *pseudonyms) learn(t *testing.T, lines [][]byte) {
	t.Helper()
	formats := map[string]string{}
	var visit func(key string, v any)
	visit = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				if k == "userName" && key == "sessionIssuer" {
					visit("roleName", v[k])
					continue
				}
				visit(k, v[k])
			}
		case []any:
			for _, e := range v {
				visit(key, e)
			}
		case string:
			if format, ok := named[key]; ok && len(v) > 2 && !replaced.MatchString(v) && !strings.HasPrefix(v, "AWSServiceRole") {
				if _, ok := formats[v]; !ok {
					formats[v] = format
					p.replace(format, v, format)
				}
			}
			for _, m := range bucketInText.FindAllStringSubmatch(v, -1) {
				formats[m[1]] = "bucket-%d"
				p.replace("bucket-%d", m[1], "bucket-%d")
			}
		}
	}
	for _, line := range lines {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(err)
		}
		visit("", o)
	}
	words := make([]string, 0, len(formats))
	for word, format := range formats {
		p.byName["word\x00"+word] = p.byName[format+"\x00"+word]
		words = append(words, regexp.QuoteMeta(word))
	}
	sort.Slice(words, func(i, j int) bool { return len(words[i]) > len(words[j]) })
	p.words = regexp.MustCompile(`\b(?:` + strings.Join(words, "|") + `)\b`)
}

// replaced finds what is told by its form; each has its group.
var replaced = regexp.MustCompile(
	`([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})` + // 1: UUID
		`|\b((?:AKIA|ASIA)[0-9A-Z]{16})\b` + // 2: access key id
		`|\b((?:AIDA|AROA|ANPA|AIPA)[0-9A-Z]{12,17})\b` + // 3: principal id
		`|\b(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b` + // 4: IPv4 address
		`|\b((?:i|vpce|vpc|subnet|sg|eni|vol|snap|ami|rtb|rtbassoc|nat|igw|acl|eipalloc|dopt|fl)-[0-9a-z]{8,17})\b` + // 5: resource id
		`|\b(\d{12})\b`) // 6: account

// forms says how each group is replaced.
var forms = []struct{ class, format string }{
	1: {"uuid", "00000000-0000-4000-8000-%012x"},
	2: {"key", "AKIAEXAMPLE%09d"},
	3: {"principal", "AIDAEXAMPLE%010d"},
	4: {"address", "%d"},
	5: {"resource", "%s-%017d"},
	6: {"account", "1000000000%02d"},
}

// text replaces all names in a text.
func (p *pseudonyms) text(s string) string {
	s = p.words.ReplaceAllStringFunc(s, func(word string) string { return p.byName["word\x00"+word] })
	s = replaced.ReplaceAllStringFunc(s, func(found string) string {
		groups := replaced.FindStringSubmatch(found)
		for i := 1; i < len(groups); i++ {
			if groups[i] == "" {
				continue
			}
			switch i {
			case 2:
				return p.replace("key", found, found[:4]+"EXAMPLE%09d")
			case 3:
				return p.replace("principal", found, found[:4]+"EXAMPLE%010d")
			case 4:
				return p.address(found)
			case 5:
				prefix, _, _ := strings.Cut(found, "-")
				return p.replace(prefix, found, prefix+"-%017x")
			default:
				return p.replace(forms[i].class, found, forms[i].format)
			}
		}
		return found
	})
	return s
}

// address returns an address of 198.18.0.0/15, which RFC 2544 keeps for tests.
func (p *pseudonyms) address(ip string) string {
	var n int
	if _, err := fmt.Sscan(p.replace("address", ip, "%d"), &n); err != nil {
		panic(err)
	}
	return fmt.Sprintf("198.18.%d.%d", n/250, n%250+1)
}

// walk replaces all names in a value.
func (p *pseudonyms) walk(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			v[k] = p.walk(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = p.walk(v[i])
		}
		return v
	case string:
		return p.text(v)
	default:
		return v
	}
}

func sortedKeys(o map[string]any) []string {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// only keeps the keys named.
func only(o map[string]any, keys ...string) {
	keep := map[string]bool{}
	for _, k := range keys {
		keep[k] = true
	}
	for k := range o {
		if !keep[k] {
			delete(o, k)
		}
	}
}

// sub returns the object under a key, or an empty one.
func sub(o map[string]any, key string) map[string]any {
	v, _ := o[key].(map[string]any)
	return v
}

var encodedMessage = regexp.MustCompile(`(Encoded authorization failure message:).*`)

// cleanCloudTrail leaves out what may hold secrets: responses, but for the
// result of a logon, and all request parameters that do not name a resource.
func cleanCloudTrail(p *pseudonyms, o map[string]any) {
	if r := sub(o, "responseElements"); r != nil {
		only(r, "ConsoleLogin", "CheckMfa")
		if len(r) == 0 {
			o["responseElements"] = nil
		}
	}
	only(sub(o, "requestParameters"), "bucketName", "roleArn", "roleName", "secretId", "name", "vpcId",
		"instanceId", "functionName", "userName", "policyArn", "routeTableId", "subnetId", "resourceId", "roleSessionName")
	only(sub(o, "additionalEventData"), "MFAUsed", "MobileVersion", "LoginTo", "SignatureVersion", "CipherSuite", "AuthenticationMethod")
	delete(o, "serviceEventDetails")
	if s, ok := o["errorMessage"].(string); ok {
		o["errorMessage"] = encodedMessage.ReplaceAllString(s, "$1 (left out)")
	}
	if s, ok := o["requestID"].(string); ok && len(s) == 16 {
		o["requestID"] = p.replace("request", s, "REQUEST%09d")
	}
}

// cleanS3 replaces request ids, which have no form of their own.
func cleanS3(p *pseudonyms, o map[string]any) {
	if s, ok := o["Request ID"].(string); ok {
		o["Request ID"] = p.replace("request", s, "REQUEST%09d")
	}
}

// cleanXRoad replaces ids that have no form of their own, and leaves out the
// database's.
func cleanXRoad(p *pseudonyms, o map[string]any) {
	for _, view := range []map[string]any{o, sub(o, "client"), sub(o, "producer")} {
		for _, key := range []string{"_id", "_file", "clientHash", "producerHash"} {
			delete(view, key)
		}
		for _, key := range []string{"messageId", "messageid"} {
			if s, ok := view[key].(string); ok && s != "" && !replaced.MatchString(s) {
				view[key] = p.replace("message", s, "message-%d")
			}
		}
	}
}
