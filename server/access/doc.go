// Package access says who may call what, on which listener.
//
// A method of a service has a rule: the roles that may call it, and the listeners
// it may be called on. A person, or a producer, has grants: roles on listeners. A
// call is let through where a role that the caller holds on this listener is among
// those of the method's rule. What has no rule is not served: [Missing] names it,
// and a server does not start with any.
//
//	role                on                  may
//	producer            ingest              append; on query: checkpoints, receipts of its own entries
//	reader              query, query_http   read; with `domains` only what touches them
//	examiner            query, query_http   read everything, until a time, while an approval names them; on public: tiles
//	production-officer  query, query_http   read and export everything
//	approver            query, query_http   propose, approve, revoke; read maps and approvals, and their entries
//	mirror              query, query_http   checkpoints and entries with their proofs; on public: tiles
//	operator            admin               run the server
//
// Grants are part of the configuration:
//
//	people:
//	  grants:
//	    - {spiffe: "spiffe://people.example/*", role: reader, domains: [web, db]}
//	    - {issuer: "https://idp.example", group: audit, role: reader}
//	    - {issuer: "https://idp.example", subject: eve, role: examiner, until: 2027-01-01, requester: spiffe://people.example/cco}
//
// An examiner's grant takes effect only while an approval entry of subject examiner
// names exactly this person, made by somebody who is neither the requester nor the
// examiner: [Act.Check], which is dual control for every act that needs it.
package access
