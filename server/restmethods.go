package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A restPath is a path of REST with what it may be asked by.
type restPath struct {
	pattern *regexp.Regexp
	methods []string // of HTTP, ascending
}

// httpMethods are the keys of a path of OpenAPI 2 that are methods.
var httpMethods = []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead, http.MethodPatch}

// restPaths reads the paths of a description (OpenAPI 2): `{x}` stands for one
// segment, or the part of one before a colon.
func restPaths(description []byte) ([]restPath, error) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(description, &doc); err != nil {
		return nil, fmt.Errorf("the description of REST: %w", err)
	}
	variable := regexp.MustCompile(`\\\{[^/{}]+\\\}`)
	var list []restPath
	for path, methods := range doc.Paths {
		pattern, err := regexp.Compile("^" + variable.ReplaceAllLiteralString(regexp.QuoteMeta(path), "[^/]+") + "$")
		if err != nil {
			return nil, fmt.Errorf("the description of REST: path %s: %w", path, err)
		}
		p := restPath{pattern: pattern}
		for m := range methods {
			if m = strings.ToUpper(m); slices.Contains(httpMethods, m) {
				p.methods = append(p.methods, m)
			}
		}
		slices.Sort(p.methods)
		list = append(list, p)
	}
	return list, nil
}

// allowedBy is what a path may be asked by, ascending; empty: there is no such path.
func allowedBy(paths []restPath, path string) []string {
	var methods []string
	for _, p := range paths {
		if p.pattern.MatchString(path) {
			methods = append(methods, p.methods...)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// wrongMethods answers a request by a method that its path does not take: 405, with
// those that it does in the header Allow (RFC 9110, section 15.5.6). The gateway by
// itself answers 501.
func wrongMethods(paths []restPath) runtime.RoutingErrorHandlerFunc {
	return func(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
		allowed := allowedBy(paths, r.URL.Path)
		if code != http.StatusMethodNotAllowed || len(allowed) == 0 {
			runtime.DefaultRoutingErrorHandler(ctx, mux, m, w, r, code)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		restError(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: status.Errorf(codes.Unimplemented,
			"this path is asked by %s, not by %s: /openapi.json describes it", strings.Join(allowed, " or "), clipText(r.Method, 16))})
	}
}
