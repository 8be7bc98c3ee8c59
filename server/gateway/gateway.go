// Package gateway is the REST form of the query service: the generated reverse
// proxy below daybook/, and the OpenAPI document of what it answers. For example
// GET /v1/entries/7 is QueryService.GetEntry with index 7.
package gateway

import _ "embed" // of the OpenAPI document

// OpenAPI is the OpenAPI 2.0 document of the REST interface, generated from the
// protos. Not to be modified.
//
//go:embed openapi.swagger.json
var OpenAPI []byte
