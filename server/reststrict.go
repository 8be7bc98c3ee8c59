package server

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// REST refuses what it does not know: a filter with a letter wrong would answer
// everything, and an approval would lose its limit.

// strictJSON reads and writes the bodies of requests.
func strictJSON() runtime.Marshaler {
	return &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true}}}
}

// strictParameters is a runtime.QueryParameterParser that knows each parameter.
type strictParameters struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (p strictParameters) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	for name := range values {
		if !hasField(m.ProtoReflect().Descriptor(), name) {
			return fmt.Errorf("there is no parameter %q: /openapi.json names them", clipText(name, 64))
		}
	}
	return p.DefaultQueryParser.Parse(m, values, filter)
}

// hasField tells whether a message has a field under a path such as `a.b`.
func hasField(m protoreflect.MessageDescriptor, path string) bool {
	name, rest, nested := strings.Cut(path, ".")
	f := m.Fields().ByTextName(name)
	if f == nil {
		f = m.Fields().ByJSONName(name)
	}
	if f == nil || !nested {
		return f != nil
	}
	return f.Message() != nil && hasField(f.Message(), rest)
}
