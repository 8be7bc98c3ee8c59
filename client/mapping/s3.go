package mapping

import (
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// fillS3 maps one S3 data event of an alarm's table (OTRF Security-Datasets,
// honey bucket): its columns as keys, the identity and the parameters of the
// request as Python writes dictionaries, or as JSON objects.
//
// The bucket is the target's domain, by its DNS name: who owns it is not told.
// What became of the access is not told either.
func fillS3(o object, b *builder) {
	identity, params := s3Object(o, "User ID", b), s3Object(o, "Request Parameters", b)
	bucket := params.text("bucketName")
	for _, field := range []string{"Event ID", "Event Name"} {
		if o.text(field) == "" {
			b.fail(Missing, field, "")
		}
	}
	if bucket == "" {
		b.fail(Missing, "Request Parameters.bucketName", "")
	}
	b.eventID(o.text("Event ID"))
	b.correlation(o.text("Request ID"))
	text := o.text("Event DateTime")
	t, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case text == "":
		b.fail(Missing, "Event DateTime", "")
	case err != nil:
		b.fail(BadValue, "Event DateTime", "%q is not a time of RFC 3339", cut(text, maxSmall))
	default:
		b.at("Event DateTime", text, t)
	}

	e := b.event
	account := awsAccount(identity)
	e.Side = daybookv1.Side_SIDE_TARGET
	e.Source.Domain = domainName(account)
	e.Source.Address = b.text("source.address", o.text("Source IP"), maxAddress)
	if account != "" {
		e.Source.Proof = daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN
		e.Actor.Authentication = "sigv4"
	}
	e.Target.Domain = domainName(bucket + ".s3.amazonaws.com")
	e.Target.Service = "s3.amazonaws.com"
	resource, typ := s3Resource(bucket, params.text("key"))
	e.Target.Resource = b.text("target.resource", resource, maxResource)
	e.Target.Type = typ

	b.actor(awsActor(identity), daybookv1.ActorType_ACTOR_TYPE_UNKNOWN)
	b.operation(awsClass("s3.amazonaws.com", o.text("Event Name"), false), o.text("Event Name"))
	e.Decision = daybookv1.Decision_DECISION_UNKNOWN
	b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN, "", "")

	b.attribute("http.user_agent", o.text("Request User Agent"))
	b.attribute("http.host", params.text("Host"))
	b.attribute("s3.prefix", params.text("prefix"))
	b.attribute("aws.event_type", o.text("Event Type"))
	b.attribute("aws.identity_type", identity.text("type"))
	b.attribute("alarm.time", o.text("Alarm DateTime"))
	b.attribute("alarm.id", strings.TrimSpace(o.text("Alert")))
	b.attribute("alarm.repeated", o.text("Repeated Attempts"))
}

// s3Object returns the object in a column.
func s3Object(o object, column string, b *builder) object {
	switch v := o[column].(type) {
	case object:
		return v
	case string:
		parsed, err := parsePython(v)
		if err != nil {
			b.fail(BadValue, column, "%v", err)
		}
		return parsed
	default:
		b.fail(Missing, column, "")
		return nil
	}
}

// s3Resource returns the ARN and type of a bucket or of an object in it.
func s3Resource(bucket, key string) (arn, typ string) {
	if key == "" {
		return "arn:aws:s3:::" + bucket, "AWS::S3::Bucket"
	}
	return "arn:aws:s3:::" + bucket + "/" + key, "AWS::S3::Object"
}
