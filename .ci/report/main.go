// Command report prints `go test -json` as go test itself would, without the
// output of tests that passed, and counts tests.
//
//	go test -json ./... | report          prints as it reads; exit 1 where a test failed
//	report -count FILE...                 prints "N passed, N failed, N skipped"
//
// A test that stands in several files, or ran in several ways, is counted once:
// failed if it ever failed, else passed if it ever passed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string
	Output     string
}

// name identifies a test.
type name struct{ pkg, test string }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "-count" {
		return count(args[1:])
	}
	return print(os.Stdin)
}

// print copies what people read: lines of packages and builds, and the output
// of failed tests.
func print(in io.Reader) error {
	failed := false
	held := map[name][]string{}
	err := read(in, func(e event) {
		switch {
		case e.Action == "build-output" || e.Action == "output" && e.Test == "":
			if !strings.HasPrefix(e.Output, "PASS") {
				fmt.Print(e.Output)
			}
		case e.Action == "output" && strings.Contains(e.Output, "ns/op"):
			if !strings.HasPrefix(e.Output, "Benchmark") { // its name was said alone
				fmt.Print(e.Test)
			}
			fmt.Print(e.Output)
		case e.Action == "output":
			n := name{e.Package, e.Test}
			held[n] = append(held[n], e.Output)
		case e.Action == "pass" || e.Action == "skip":
			delete(held, name{e.Package, e.Test})
		case e.Action == "fail":
			failed = true
			fmt.Print(strings.Join(held[name{e.Package, e.Test}], ""))
			delete(held, name{e.Package, e.Test})
		case e.Action == "build-fail":
			failed = true
		}
	}, func(line string) { fmt.Println(line) })
	if err != nil {
		return err
	}
	for n, lines := range held { // a test that a panic or a time limit cut off
		if strings.HasPrefix(n.test, "Benchmark") && !failed {
			continue // nothing more is said of one that works
		}
		fmt.Printf("--- no result: %s of %s\n%s", n.test, n.pkg, strings.Join(lines, ""))
	}
	if failed {
		return errors.New("tests failed")
	}
	return nil
}

// count prints the closing line for all the files together.
func count(paths []string) error {
	rank := map[string]int{"skip": 1, "pass": 2, "fail": 3}
	worst := map[name]int{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = read(f, func(e event) {
			// A package that fails by itself, without a test, counts as one.
			if e.Test != "" || e.Action == "fail" {
				n, r := name{e.Package, e.Test}, rank[e.Action]
				if strings.HasPrefix(e.Test, "Benchmark") && e.Action == "run" {
					r = 2 // nothing more is said of one that works
				}
				worst[n] = max(worst[n], r)
			}
		}, func(string) {})
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	failedInside := map[string]bool{}
	for n, r := range worst {
		if n.test != "" && r == 3 {
			failedInside[n.pkg] = true
		}
	}
	var sum [4]int
	for n, r := range worst {
		if n.test != "" || !failedInside[n.pkg] {
			sum[r]++
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", sum[2], sum[3], sum[1])
	return nil
}

// read calls on for every event and other for every line that is none.
func read(in io.Reader, on func(event), other func(string)) error {
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := r.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				on(e)
			} else {
				other(line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
