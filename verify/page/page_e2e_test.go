//go:build e2e

package page_test

import (
	"strings"
	"testing"
)

// TestPageHasNoNetwork opens the page from a file and tries everything that could
// tell somebody something: its policy lets nothing out.
func TestPageHasNoNetwork(t *testing.T) {
	b := openPage(t)
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Fatalf("opening the page: asked for %q, complained %q", addresses, complaints)
	}
	var tried map[string]string
	b.eval(`(async () => {
		const out = {}, url = "http://127.0.0.1:9/";
		const attempt = async (name, fn) => {
			try { await fn(); out[name] = "went through"; } catch { out[name] = "refused"; }
		};
		const loading = (element, key) => new Promise((resolve, reject) => {
			element.onload = resolve, element.onerror = reject, element[key] = url;
			document.head.append(element);
		});
		await attempt("fetch", () => fetch(url));
		await attempt("xhr", () => new Promise((resolve, reject) => {
			const x = new XMLHttpRequest();
			x.onload = resolve, x.onerror = reject;
			x.open("GET", url), x.send();
		}));
		await attempt("socket", () => new Promise((resolve, reject) => {
			const s = new WebSocket("ws://127.0.0.1:9/");
			s.onopen = resolve, s.onerror = reject;
		}));
		await attempt("image", () => loading(new Image(), "src"));
		await attempt("script", () => loading(document.createElement("script"), "src"));
		await attempt("inline script", () => {
			const s = document.createElement("script");
			s.textContent = "globalThis.broken = true";
			document.head.append(s);
			if (!globalThis.broken) throw new Error("refused");
		});
		await attempt("eval", () => setTimeout && new Function("return 1")());
		await attempt("form", () => {
			const f = document.createElement("form");
			f.action = url;
			document.body.append(f);
			f.submit();
			throw new Error("submitted or not");
		});
		return out;
	})()`, &tried)
	if len(tried) != 8 {
		t.Errorf("tried %v", tried)
	}
	for name, result := range tried {
		if result != "refused" {
			t.Errorf("%s %s", name, result)
		}
	}
	var where string
	b.eval("location.href", &where)
	if !strings.HasPrefix(where, "file://") {
		t.Errorf("the page is at %s", where)
	}
}
