// Package server is the transport of a log: its listeners, who may use them, and
// the conversion between their messages and the ledger.
//
//	ingest      gRPC over mutual TLS   IngestService   producers
//	query       gRPC over mutual TLS   QueryService    readers; GovernanceService
//	query_http  REST over mutual TLS   the same two    readers; /openapi.json
//	admin       gRPC over mutual TLS   AdminService    operators
//	public      HTTP on loopback       /checkpoint     everybody
//	operations  HTTPS                  /metrics, /healthz, /readyz
//
// Each listener has its own address, certificate, list of ids and limits. A
// request on REST reaches QueryService over an in-process connection, so that
// it passes the same interceptors; there alone a forwarded identity is believed.
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
