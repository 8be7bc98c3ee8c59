// Package guide holds the pages that explain Daybook to people.
//
// A page is a Markdown file that a code host shows as it is; each begins with its
// title. Every command in them runs as a test.
package guide

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.md
var pages embed.FS

// Page is one page.
type Page struct {
	// Name is that of the file, without its ending: `domains`.
	Name string `json:"name"`
	// Title of the page.
	Title string `json:"title"`
	// Text in Markdown, with the title.
	Text string `json:"text,omitempty"`
}

// Pages returns all pages, ascending by name.
func Pages() ([]Page, error) {
	names, err := fs.Glob(pages, "*.md")
	if err != nil {
		return nil, fmt.Errorf("listing the guide: %w", err)
	}
	all := make([]Page, 0, len(names))
	for _, file := range names {
		text, err := pages.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the guide: %w", err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		title, ok := strings.CutPrefix(first, "# ")
		if !ok {
			return nil, fmt.Errorf("reading the guide: %s begins without a title", file)
		}
		all = append(all, Page{Name: strings.TrimSuffix(file, ".md"), Title: title, Text: string(text)})
	}
	return all, nil
}
