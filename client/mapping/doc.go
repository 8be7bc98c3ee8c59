// Package mapping turns one foreign record into one Event, or into a reason
// why not.
//
// A mapping has a name and a version. The version is raised whenever the same
// record would give other bytes: the id of an import's run is hashed from the
// file, the name and the version, so that a repeated import sends the bytes
// that are already in the log, and adds nothing.
//
//	file:    {"eventTime":"2023-07-10T11:42:18Z","eventName":"GetUser",...}
//	         {"eventTime":"2023-07-10T11:42:19Z",...}
//	records: number 1 = first line that is not blank, number 2 = the next, ...
//	event:   event_id 875240ac-...  source 111122223333  target 111122223333
//	         original {sha256 of the line, file_sha256, record 1, cloudtrail/1}
//
// A mapping says only what the record says. What the record does not tell is
// `unknown` where the event needs a value, and absent elsewhere; an access
// without a name is `anonymous`. A record that lacks what makes it an access at
// all (its time, say) is not mapped: the Reason names the field, and the
// importer sends Declined in the event's place, so that numbers stay whole.
//
// # Domains
//
// Source and target are readable ids of [a-z0-9.-], at most 63 bytes, the same
// for the same name at all times: ASCII lower case, `/` as `.`. A name that
// these rules would change further keeps its readable part and ends in `-` and
// 8 hex digits of its SHA-256, so that two names never become one.
//
//	cloudtrail  AWS account 123456789012, service ec2.amazonaws.com, the
//	            console's own calls aws-internal, an identity provider's host
//	lanl-auth   U22@DOM1 is in dom1; U5@C832 is a local account, in c832.host
//	xroad       PLAYGROUND/ORG/2908758-4/MonitoringClient is
//	            playground.org.2908758-4.monitoringclient
//	s3-access   callers by AWS account; the bucket logs as logs.s3.amazonaws.com
//
// # Limits
//
// A text that describes (a resource, a reason, an attribute) is cut to the
// event's limit, and the attribute `mapping.cut` names the fields that were. A
// text that identifies is never cut: too long an actor is a Reason, too long an
// event or correlation id becomes the hex of its SHA-256.
package mapping
