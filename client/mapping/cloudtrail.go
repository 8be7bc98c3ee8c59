package mapping

import (
	"strconv"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// awsInternal is what CloudTrail calls a service of AWS that it does not name.
const awsInternal = "AWS Internal"

// fillCloudTrail maps an AWS CloudTrail event, record versions 1.0x
// (docs.aws.amazon.com: CloudTrail record contents).
//
// The source is where the call came from: the service that made it on behalf
// of the identity (invokedBy), else the identity's account, else its identity
// provider. The target is the account that owns the resources, else the one of
// the role that is assumed, else the account that received the event. The
// actor is the identity whose permissions were used; the role behind a login
// session stands in the delegation, and the service that used them is the
// source's service. Request parameters and response elements are not kept: they
// hold secrets and personal data; the original's digest leads to them.
func fillCloudTrail(o object, b *builder) {
	identity := o.sub("userIdentity")
	if identity == nil {
		b.fail(Missing, "userIdentity", "")
	}
	for _, field := range []string{"eventID", "eventName", "eventSource"} {
		if o.text(field) == "" {
			b.fail(Missing, field, "")
		}
	}
	b.eventID(o.text("eventID"))
	cloudTrailTime(o, b)
	cloudTrailEnds(o, identity, b)
	cloudTrailActor(o, identity, b)
	cloudTrailOutcome(o, b)

	readOnly, known := o.flag("readOnly")
	if known {
		b.event.Action.ReadOnly = &readOnly
	}
	b.operation(awsClass(o.text("eventSource"), o.text("eventName"), readOnly), o.text("eventName"))
	if o.sub("tlsDetails") != nil {
		b.event.Action.Protocol = "https"
	}

	shared, request := o.text("sharedEventID"), o.text("requestID")
	b.correlation(shared)
	if shared == "" {
		b.correlation(request)
	}
	b.attribute("aws.request_id", request)
	cloudTrailAttributes(o, identity, b)
}

// cloudTrailTime sets the time: UTC, in RFC 3339.
func cloudTrailTime(o object, b *builder) {
	text := o.text("eventTime")
	if text == "" {
		b.fail(Missing, "eventTime", "")
		return
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		b.fail(BadValue, "eventTime", "%q is not a time of RFC 3339", cut(text, maxSmall))
		return
	}
	b.at("eventTime", text, t)
}

// cloudTrailEnds sets source, target, and the side that observed.
func cloudTrailEnds(o, identity object, b *builder) {
	invoker := identity.text("invokedBy")
	account := awsAccount(identity)
	recipient := o.text("recipientAccountId")

	source := b.event.Source
	switch {
	case invoker == awsInternal:
		source.Domain = "aws-internal"
	case invoker != "":
		source.Domain = domainName(invoker)
	case account != "":
		source.Domain = domainName(account)
	default:
		source.Domain = domainName(providerHost(identity.text("identityProvider")))
	}
	source.Address = b.text("source.address", o.text("sourceIPAddress"), maxAddress)
	source.Service = b.text("source.service", invoker, maxService)
	if invoker == "" && identity.text("accessKeyId") != "" {
		source.Proof = daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN
	}

	owner := resourceOwner(o)
	if owner == "" {
		owner = recipient
	}
	target := b.event.Target
	target.Domain = domainName(owner)
	target.Service = b.text("target.service", o.text("eventSource"), maxService)
	resource, typ := awsResource(o)
	target.Resource = b.text("target.resource", resource, maxResource)
	target.Type = b.text("target.type", typ, maxType)

	b.event.Side = daybookv1.Side_SIDE_TARGET
	if owner != recipient && account == recipient {
		b.event.Side = daybookv1.Side_SIDE_SOURCE
	}
}

// awsAccount returns the account of an identity; empty where it has none or is
// anonymous.
func awsAccount(identity object) string {
	account := identity.text("accountId")
	if strings.EqualFold(account, "ANONYMOUS_PRINCIPAL") {
		return ""
	}
	return account
}

// providerHost returns the host of an identity provider, which is a host, a
// URL, or an ARN that ends in one.
func providerHost(provider string) string {
	for _, marker := range []string{":oidc-provider/", ":saml-provider/", "://"} {
		if _, host, ok := strings.Cut(provider, marker); ok {
			provider = host
		}
	}
	host, _, _ := strings.Cut(provider, "/")
	return host
}

// resourceOwner returns the account that owns what was reached: of all
// resources, where they agree, else of the role that is assumed.
func resourceOwner(o object) string {
	owner := ""
	for _, r := range o.list("resources") {
		account := r.text("accountId")
		if account == "" {
			continue
		}
		if owner != "" && owner != account {
			return ""
		}
		owner = account
	}
	if owner != "" {
		return owner
	}
	if strings.HasPrefix(o.text("eventName"), "AssumeRole") {
		return arnAccount(o.text("requestParameters", "roleArn"))
	}
	return ""
}

// arnAccount returns the account in arn:partition:service:region:account:rest.
func arnAccount(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return ""
	}
	return parts[4]
}

// awsResource returns the first resource and its type: from the list of
// resources, else from the request parameter that names it.
func awsResource(o object) (name, typ string) {
	for _, r := range o.list("resources") {
		if arn := r.text("ARN"); arn != "" {
			return arn, r.text("type")
		}
	}
	p := o.sub("requestParameters")
	if bucket := p.text("bucketName"); bucket != "" {
		return s3Resource(bucket, p.text("key"))
	}
	for _, key := range resourceParameters {
		if v := p.text(key); v != "" {
			return v, ""
		}
	}
	return "", ""
}

// resourceParameters are the request parameters that name what a call is
// about, the most telling first.
var resourceParameters = []string{
	"roleArn", "resourceArn", "resourceARN", "functionName", "secretId", "keyId",
	"instanceId", "volumeId", "snapshotId", "imageId", "groupId", "vpcId", "subnetId",
	"routeTableId", "natGatewayId", "internetGatewayId", "networkInterfaceId", "allocationId",
	"dBInstanceIdentifier", "dBSnapshotIdentifier", "policyArn", "roleName", "userName",
	"instanceProfileName", "groupName", "trailName", "logGroupName", "resourceId", "name",
}

// cloudTrailActor sets who acted, how that is known, and on whose behalf.
func cloudTrailActor(o, identity object, b *builder) {
	actor := b.event.Actor
	b.actor(awsActor(identity), awsActorType(o, identity))
	actor.Authentication = awsAuthentication(o, identity)
	if key := identity.text("accessKeyId"); strings.HasPrefix(key, "ASIA") {
		actor.LoginSession = b.text("actor.login_session", key, maxAddress)
	}
	if user := identity.text("onBehalfOf", "userId"); user != actor.Id {
		b.delegate(user, daybookv1.ActorType_ACTOR_TYPE_HUMAN)
	}
	b.delegate(identity.text("sessionContext", "sourceIdentity"), daybookv1.ActorType_ACTOR_TYPE_UNSPECIFIED)
	b.delegate(identity.text("sessionContext", "sessionIssuer", "arn"), daybookv1.ActorType_ACTOR_TYPE_UNSPECIFIED)
}

// awsActor returns the most exact id that the identity has; a user name that
// CloudTrail hides, because a password may have been typed there, is unknown.
func awsActor(identity object) string {
	account, user := awsAccount(identity), identity.text("userName")
	if strings.HasPrefix(user, "HIDDEN_DUE_TO_SECURITY_REASONS") {
		user = ""
	}
	switch {
	case identity.text("arn") != "":
		return identity.text("arn")
	case account == "" && identity.text("accountId") != "":
		return anonymous
	case account != "" && user != "":
		return account + "/" + user
	case user != "":
		return user
	case identity.text("principalId") != "":
		return identity.text("principalId")
	case identity.text("onBehalfOf", "userId") != "":
		return identity.text("onBehalfOf", "userId")
	case identity.text("invokedBy") != "":
		return identity.text("invokedBy")
	case identity.text("type") == "AWSAccount":
		return account
	default:
		return unknown
	}
}

// awsActorType returns what the identity is, as far as the record tells: an IAM
// user may be a person or a program.
func awsActorType(o, identity object) daybookv1.ActorType {
	console, _ := o.flag("sessionCredentialFromConsole")
	switch typ := identity.text("type"); {
	case typ == "AWSService", typ == "" && identity.text("invokedBy") != "":
		return daybookv1.ActorType_ACTOR_TYPE_SERVICE
	case typ == "IdentityCenterUser", typ == "SAMLUser", console, o.text("eventType") == "AwsConsoleSignIn":
		return daybookv1.ActorType_ACTOR_TYPE_HUMAN
	case identity.text("sessionContext", "ec2RoleDelivery") != "":
		return daybookv1.ActorType_ACTOR_TYPE_WORKLOAD
	default:
		return daybookv1.ActorType_ACTOR_TYPE_UNKNOWN
	}
}

// awsAuthentication returns how the identity was authenticated, `+mfa` where a
// second factor was used; empty where the record does not tell.
func awsAuthentication(o, identity object) string {
	how := ""
	switch typ := identity.text("type"); {
	case o.text("eventType") == "AwsConsoleSignIn":
		how = "console"
	case typ == "SAMLUser":
		how = "saml"
	case typ == "WebIdentityUser":
		how = "oidc"
	case identity.text("accessKeyId") != "":
		how = "sigv4"
	}
	mfa, _ := identity.flag("sessionContext", "attributes", "mfaAuthenticated")
	if how != "" && (mfa || o.text("additionalEventData", "MFAUsed") == "Yes") {
		how += "+mfa"
	}
	return how
}

// cloudTrailAttributes keeps the rest that is worth keeping.
func cloudTrailAttributes(o, identity object, b *builder) {
	for key, path := range map[string][]string{
		"aws.region":             {"awsRegion"},
		"aws.event_type":         {"eventType"},
		"aws.event_category":     {"eventCategory"},
		"aws.event_version":      {"eventVersion"},
		"aws.api_version":        {"apiVersion"},
		"aws.recipient_account":  {"recipientAccountId"},
		"aws.vpc_endpoint":       {"vpcEndpointId"},
		"aws.vpc_endpoint_owner": {"vpcEndpointAccountId"},
		"aws.console_credential": {"sessionCredentialFromConsole"},
		"http.user_agent":        {"userAgent"},
		"tls.version":            {"tlsDetails", "tlsVersion"},
		"tls.cipher":             {"tlsDetails", "cipherSuite"},
		"tls.host":               {"tlsDetails", "clientProvidedHostHeader"},
	} {
		b.attribute(key, o.text(path...))
	}
	b.attribute("aws.identity_type", identity.text("type"))
	b.attribute("aws.identity_account", identity.text("accountId"))
	b.attribute("aws.principal", identity.text("principalId"))
	b.attribute("aws.access_key_id", identity.text("accessKeyId"))
	b.attribute("aws.identity_provider", identity.text("identityProvider"))
	b.attribute("aws.login_at", identity.text("sessionContext", "attributes", "creationDate"))
	b.attribute("aws.federated_provider", identity.text("sessionContext", "webIdFederationData", "federatedProvider"))

	more := 0
	for i, r := range o.list("resources") {
		arn := r.text("ARN")
		if arn == "" || arn == b.event.Target.Resource || more == 8 {
			continue
		}
		more++
		b.attribute("aws.resource."+strconv.Itoa(i+1), arn)
	}
}
