//go:build e2e

package page_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium that is driven through a pipe: one page, opened
// from a file.
type browser struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      *os.File // to Chromium
	out     *os.File
	session string // of the page
	reading sync.WaitGroup

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer // guarded by mu
	events  []event             // guarded by mu
	ended   error               // guarded by mu
}

type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

type event struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// chromium finds the browser, or skips the test.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: no Chromium on this machine: the page is not tested in a browser (Debian: apt-get install chromium)")
	return ""
}

// openPage opens verify.html from a file in a new browser. The network is watched.
func openPage(t *testing.T) *browser {
	t.Helper()
	path := chromium(t)
	dir := t.TempDir()
	html, err := os.ReadFile("verify.html")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "verify.html")
	if err := os.WriteFile(file, html, 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t, path, dir)
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log", "DOM"} {
		b.call(b.session, domain+".enable", nil, nil)
	}
	b.call(b.session, "Page.navigate", map[string]any{"url": "file://" + file}, nil)
	b.waitFor("the page", "document.readyState === 'complete' && globalThis.daybook !== undefined")
	return b
}

func startBrowser(t *testing.T, path, dir string) *browser {
	t.Helper()
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromRead, fromWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--window-size=1200,1600")
	cmd.ExtraFiles = []*os.File{toRead, fromWrite} // 3 and 4
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	fromWrite.Close()
	b := &browser{t: t, cmd: cmd, in: toWrite, out: fromRead, waiting: map[int]chan answer{}}
	b.reading.Add(1)
	go b.read()
	t.Cleanup(func() {
		b.in.Close() // Chromium ends with its pipe
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-done
		}
		b.reading.Wait()
		b.out.Close()
		stderr.Close()
		for range 20 { // its children may hold on to the profile for a moment
			if os.RemoveAll(filepath.Join(dir, "profile")) == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	return b
}

// read takes what Chromium says, each message ended by a zero byte.
func (b *browser) read() {
	defer b.reading.Done()
	in := bufio.NewReaderSize(b.out, 1<<20)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = fmt.Errorf("Chromium ended: %w", err)
			for _, c := range b.waiting {
				close(c)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		var m struct {
			ID int `json:"id"`
			answer
			event
		}
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
			continue
		}
		b.mu.Lock()
		if m.ID == 0 {
			b.events = append(b.events, m.event)
		} else if c := b.waiting[m.ID]; c != nil {
			delete(b.waiting, m.ID)
			c <- m.answer
		}
		b.mu.Unlock()
	}
}

// call calls a method of the DevTools protocol.
func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	if err := b.try(session, method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *browser) try(session, method string, params, result any) error {
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return b.ended
	}
	b.next++
	id, c := b.next, make(chan answer, 1)
	b.waiting[id] = c
	b.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return err
	}
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			return errors.New("Chromium ended")
		case a.Error != nil:
			return errors.New(a.Error.Message)
		case result != nil:
			return json.Unmarshal(a.Result, result)
		}
		return nil
	case <-time.After(5 * time.Minute):
		return errors.New("no answer in 5 minutes")
	}
}

// eval evaluates JavaScript in the page, waits for a promise, and decodes the
// value, which must be JSON.
func (b *browser) eval(script string, result any) {
	b.t.Helper()
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call(b.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true, "allowUnsafeEvalBlockedByCSP": false}, &out)
	if e := out.ExceptionDetails; e != nil {
		b.t.Fatalf("in the page: %s: %s", e.Text, e.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, result); err != nil {
		b.t.Fatalf("the page answered %.200s: %v", out.Result.Value, err)
	}
}

// waitFor waits until an expression is true in the page.
func (b *browser) waitFor(what, expression string) {
	b.t.Helper()
	for range 1200 {
		ok := false
		if b.eval("Boolean("+expression+")", &ok); ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("waited a minute for %s", what)
}

// setFiles gives files to the file input that a selector finds.
func (b *browser) setFiles(selector string, files ...string) {
	b.t.Helper()
	var document struct {
		Root struct{ NodeID int } `json:"root"`
	}
	b.call(b.session, "DOM.getDocument", nil, &document)
	var node struct{ NodeID int }
	b.call(b.session, "DOM.querySelector", map[string]any{"nodeId": document.Root.NodeID, "selector": selector}, &node)
	b.call(b.session, "DOM.setFileInputFiles", map[string]any{"nodeId": node.NodeID, "files": files}, nil)
}

// screenshot writes what the whole page looks like, where the environment's
// DAYBOOK_SCREENSHOTS names a directory.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("DAYBOOK_SCREENSHOTS")
	var shot struct{ Data string }
	b.call(b.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil || len(image) == 0 {
		b.t.Fatalf("screenshot: %v", err)
	}
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// requests returns the addresses that the page asked for, its own file and blobs
// apart, and what its policy refused or broke.
func (b *browser) requests() (addresses, complaints []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		switch e.Method {
		case "Network.requestWillBeSent", "Network.webSocketCreated":
			var p struct {
				URL     string
				Request struct{ URL string }
			}
			json.Unmarshal(e.Params, &p)
			address := p.Request.URL + p.URL
			if !strings.HasPrefix(address, "file://") && !strings.HasPrefix(address, "blob:") && !strings.HasPrefix(address, "data:") && address != "about:blank" && address != "about:srcdoc" {
				addresses = append(addresses, address)
			}
		case "Log.entryAdded", "Runtime.exceptionThrown":
			complaints = append(complaints, string(e.Params))
		}
	}
	return addresses, complaints
}
