package page_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// wordListIsCurrent compares the page's list of words with the list that
// fingerprints are said in.
func wordListIsCurrent(t *testing.T) {
	list, err := os.ReadFile("../words.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(list))
	var out bytes.Buffer
	out.WriteString("// Code generated from verify/words.txt by `go test ./verify/page -update`. DO NOT EDIT.\n\n")
	out.WriteString("/** The English word list of BIP-39, 2,048 words, a space between two. */\nexport const WORD_LIST =\n")
	const line = 16
	for i := 0; i < len(words); i += line {
		end := min(i+line, len(words))
		out.WriteString("  \"" + strings.Join(words[i:end], " "))
		if end < len(words) {
			out.WriteString(" \" +\n")
		} else {
			out.WriteString("\";\n")
		}
	}
	matchFile(t, "src/wordlist.js", out.Bytes())
}

// textsAreCurrent compares the page's copy of the fixed texts of the derived
// members with those that Go makes them with.
func textsAreCurrent(t *testing.T) {
	texts := map[string]string{}
	for _, name := range []string{"words.json", "report.html", "README.txt"} {
		b, err := os.ReadFile("../bundle/report/words/" + name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	data, err := json.MarshalIndent(texts, "", "  ") // escapes < and >, so that nothing in it ends a script
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString("// Code generated from verify/bundle/report/words by `go test ./verify/page -update`. DO NOT EDIT.\n\n")
	out.WriteString("/** The fixed texts of the derived members of a bundle, by their file names. */\nexport const TEXTS = ")
	out.Write(data)
	out.WriteString(";\n")
	matchFile(t, "src/texts.js", out.Bytes())
}
