package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/page"
)

// module is one source of the page's script.
type module struct {
	name    string
	imports []string // file names
	wants   []string // imported names, as file/name
	exports []string
	names   []string // all names at its top level
	text    string   // without imports, and without the word export
}

var (
	importPattern  = regexp.MustCompile(`(?ms)^import \{([^}]*)\} from "\./([a-z0-9]+\.js)";\n`)
	topPattern     = regexp.MustCompile(`(?m)^(export )?(?:async )?(?:const|let|var|class|function\*?) ([A-Za-z0-9_$]+)`)
	patternPattern = regexp.MustCompile(`(?m)^(?:export )?(?:const|let|var) [\[{]`)
)

func readModule(name string, source []byte) (*module, error) {
	m := &module{name: name}
	for _, found := range importPattern.FindAllSubmatch(source, -1) {
		m.imports = append(m.imports, string(found[2]))
		for want := range strings.SplitSeq(string(found[1]), ",") {
			if want = strings.TrimSpace(want); want != "" {
				m.wants = append(m.wants, string(found[2])+"/"+want)
			}
		}
	}
	m.text = importPattern.ReplaceAllString(string(source), "")
	for _, found := range topPattern.FindAllStringSubmatch(m.text, -1) {
		m.names = append(m.names, found[2])
		if found[1] != "" {
			m.exports = append(m.exports, found[2])
		}
	}
	m.text = regexp.MustCompile(`(?m)^export (async function|function|class|const) `).ReplaceAllString(m.text, "$1 ")
	for _, word := range []string{"import ", "export "} {
		if strings.HasPrefix(m.text, word) || strings.Contains(m.text, "\n"+word) {
			return nil, fmt.Errorf("%s: an %sof a form that is not put together", name, word)
		}
	}
	for _, word := range []string{"</script", "<!--", "/*STYLE*/", "/*SCRIPT*/", "\r"} {
		if strings.Contains(m.text, word) {
			return nil, fmt.Errorf("%s: holds %q", name, word)
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^const [^=]*=[^;\n]*, ([A-Za-z0-9_$]+) = .*;$`).FindAllStringSubmatch(m.text, -1) {
		m.names = append(m.names, found[1])
	}
	if patternPattern.MatchString(m.text) {
		return nil, fmt.Errorf("%s: takes names apart at its top level", name)
	}
	return m, nil
}

// sortModules returns the modules that main.js reaches, each after what it
// imports; the order of the names decides where that leaves a choice.
func sortModules(modules map[string]*module) ([]*module, error) {
	var out []*module
	state := map[string]int{} // 1: being visited, 2: done
	var visit func(name string) error
	visit = func(name string) error {
		m := modules[name]
		if m == nil || state[name] == 1 {
			return fmt.Errorf("%s is missing, or imports itself", name)
		}
		if state[name] == 2 {
			return nil
		}
		state[name] = 1
		imports := slices.Clone(m.imports)
		slices.Sort(imports)
		for _, i := range imports {
			if err := visit(i); err != nil {
				return err
			}
		}
		state[name] = 2
		out = append(out, m)
		return nil
	}
	if err := visit("main.js"); err != nil {
		return nil, err
	}
	for name := range modules {
		if state[name] != 2 {
			return nil, fmt.Errorf("nothing imports %s", name)
		}
	}
	return out, nil
}

// checkNames refuses a name that two modules have, and an import of what is not
// exported: all are in one scope in the end.
func checkNames(modules []*module) error {
	owner, exported := map[string]string{}, map[string]bool{}
	for _, m := range modules {
		for _, n := range m.names {
			if had, taken := owner[n]; taken {
				return fmt.Errorf("%s and %s both have a %s", had, m.name, n)
			}
			owner[n] = m.name
		}
		for _, n := range m.exports {
			exported[m.name+"/"+n] = true
		}
	}
	for _, m := range modules {
		for _, want := range m.wants {
			if !exported[want] {
				return fmt.Errorf("%s imports %s, which is not exported", m.name, want)
			}
		}
	}
	return nil
}

// assemble makes the page of its sources: one file, whose content security policy
// names the one script and the one style by their SHA-256, and nothing else.
func assemble(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.js"))
	if err != nil {
		return nil, err
	}
	modules := map[string]*module{}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if modules[filepath.Base(f)], err = readModule(filepath.Base(f), source); err != nil {
			return nil, err
		}
	}
	sorted, err := sortModules(modules)
	if err != nil {
		return nil, err
	}
	if err := checkNames(sorted); err != nil {
		return nil, err
	}
	var script strings.Builder
	script.WriteString("\n\"use strict\";\n{\n")
	for _, m := range sorted {
		fmt.Fprintf(&script, "// %s\n%s\n", m.name, strings.TrimSpace(m.text))
	}
	script.WriteString("}\n")
	return fill(dir, script.String())
}

// fill puts style, script and policy into the template.
func fill(dir, script string) ([]byte, error) {
	template, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		return nil, err
	}
	style, err := os.ReadFile(filepath.Join(dir, "style.css"))
	if err != nil {
		return nil, err
	}
	css := "\n" + strings.TrimSpace(string(style)) + "\n"
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	report, err := os.ReadFile("../bundle/report/words/report.html")
	if err != nil {
		return nil, err
	}
	reportStyle := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindSubmatch(report) // the report is shown in a frame, which inherits the policy
	if reportStyle == nil {
		return nil, errors.New("report.html has no style")
	}
	csp := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ` + digest(script) + `; style-src ` + digest(css) + " " + digest(string(reportStyle[1])) +
		`; base-uri 'none'; form-action 'none'">`
	for _, part := range [][2]string{{"<!--CSP-->", csp}, {"/*STYLE*/", css}, {"/*SCRIPT*/", script}} {
		if bytes.Count(template, []byte(part[0])) != 1 {
			return nil, fmt.Errorf("index.html has not one %s", part[0])
		}
		template = bytes.ReplaceAll(template, []byte(part[0]), []byte(part[1]))
	}
	return template, nil
}

// TestGeneratedIsCurrent compares what is generated with what it is made from, the
// page last, which is made from the others.
func TestGeneratedIsCurrent(t *testing.T) {
	t.Run("schema", schemaIsCurrent)
	t.Run("words", wordListIsCurrent)
	t.Run("texts", textsAreCurrent)
	t.Run("page", pageIsAssembled)
}

// pageIsAssembled compares verify.html with what its sources make.
func pageIsAssembled(t *testing.T) {
	got, err := assemble("src")
	if err != nil {
		t.Fatal(err)
	}
	matchFile(t, "verify.html", got)
	if !*update && !bytes.Equal(page.HTML(), got) {
		t.Error("the embedded page is another one")
	}
}

// TestSourcesStaySmall bounds the files and functions of the page as those of the
// rest of the repository.
func TestSourcesStaySmall(t *testing.T) {
	files, err := filepath.Glob("src/*.js")
	if err != nil || len(files) == 0 {
		t.Fatal("no sources: ", err)
	}
	start := regexp.MustCompile(`^(  )?(export )?(static )?(async )?(function\*? [A-Za-z0-9_$]+|[#A-Za-z0-9_$]+)\(.*\{$`)
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(source), "\n")
		if generated := strings.HasPrefix(lines[0], "// Code generated"); len(lines) > 401 && !generated {
			t.Errorf("%s has %d lines, want at most 400", f, len(lines)-1)
		}
		from, indent := 0, ""
		for i, line := range lines {
			if found := start.FindStringSubmatch(line); found != nil && !strings.Contains(line, "(function") {
				from, indent = i, found[1]
			}
			if line == indent+"}" && from > 0 && i-from+1 > 60 {
				t.Errorf("%s:%d: a function of %d lines, want at most 60", f, from+1, i-from+1)
			}
		}
	}
}
