// Package server is the transport of a log: its listeners, who may use them, and
// the conversion between their messages and the ledger.
//
//	ingest      gRPC over mutual TLS   IngestService   producers
//	query       gRPC over mutual TLS   QueryService    readers; GovernanceService, ExportService
//	query_http  REST over mutual TLS   the same        readers; /openapi.json
//	admin       gRPC over mutual TLS   AdminService    operators
//	public      HTTP on loopback, TLS  /checkpoint     everybody; /tile: mirrors, examiners
//	operations  HTTPS                  /metrics, /healthz, /readyz
//
// Each listener has its own address, certificate and limits: connections, sizes,
// calls of one caller, deadlines. A caller is who its client certificate says, or,
// where an OIDC issuer has an audience for the listener, its bearer token. Each
// method has a rule, package access, that says which roles may call it where; a
// server with a method or a page that no rule covers does not start. A request on
// REST reaches the services over an in-process connection, so that it passes the
// same interceptors; there alone a forwarded identity is believed.
//
// What a person reads is an activity entry, durable before the answer (journal.go);
// whom a listener refused is one, too, where it is known who asked. A reader who is
// limited to domains sees what touches them, under the same proofs (limited.go).
//
// A handler converts, calls the ledger, converts. What an error becomes for a
// client stands in one table, errors.go.
//
// For example:
//
//	s, err := server.Listen(server.Options{Log: log, Config: config, Trust: trust, Certificates: pairs})
//	fmt.Println(s.Addresses().Ingest)
//	err = s.Run(ctx) // until ctx ends and what was accepted is answered
package server
