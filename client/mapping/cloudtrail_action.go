package mapping

import (
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Short names for the tables below.
const (
	create       = daybookv1.ActionClass_ACTION_CLASS_CREATE
	read         = daybookv1.ActionClass_ACTION_CLASS_READ
	update       = daybookv1.ActionClass_ACTION_CLASS_UPDATE
	remove       = daybookv1.ActionClass_ACTION_CLASS_DELETE
	execute      = daybookv1.ActionClass_ACTION_CLASS_EXECUTE
	authenticate = daybookv1.ActionClass_ACTION_CLASS_AUTHENTICATE
	configure    = daybookv1.ActionClass_ACTION_CLASS_CONFIGURE
	other        = daybookv1.ActionClass_ACTION_CLASS_OTHER
)

// verbClass is one row of a table that is tried in order.
type verbClass struct {
	prefix string
	class  daybookv1.ActionClass
}

// awsLogins obtain an identity or a login session.
var awsLogins = []string{
	"AssumeRole", "ConsoleLogin", "CheckMfa", "GetSessionToken", "GetFederationToken",
	"SwitchRole", "ExitRole", "RenewRole", "CreateSession", "CreateToken", "ExternalIdPDirectoryLogin",
	"UserAuthentication", "CredentialVerification", "Authenticate",
}

// awsGuards are the services whose every write changes permission or evidence.
var awsGuards = map[string]bool{
	"iam.amazonaws.com": true, "organizations.amazonaws.com": true, "cloudtrail.amazonaws.com": true,
	"sso.amazonaws.com": true, "sso-directory.amazonaws.com": true, "ram.amazonaws.com": true,
	"config.amazonaws.com": true, "guardduty.amazonaws.com": true, "securityhub.amazonaws.com": true,
	"access-analyzer.amazonaws.com": true, "account.amazonaws.com": true,
}

// awsGuardWords mark a write that changes permission or configuration in any
// other service.
var awsGuardWords = []string{
	"Policy", "Permission", "SecurityGroup", "PublicAccessBlock", "Acl", "Grant", "Attribute",
	"Configuration", "Logging", "Encryption", "Lifecycle", "FlowLogs", "EventSelectors",
}

// awsVerbs classes an operation by the verb it begins with.
var awsVerbs = []verbClass{
	{"GenerateDataKey", execute},
	{"Get", read}, {"List", read}, {"Describe", read}, {"Head", read}, {"Lookup", read},
	{"Search", read}, {"BatchGet", read}, {"Query", read}, {"Scan", read}, {"Download", read}, {"View", read},
	{"Create", create}, {"Allocate", create}, {"Register", create}, {"Import", create}, {"Copy", create},
	{"Restore", create}, {"Put", update}, {"Upload", update}, {"Update", update}, {"Modify", update},
	{"Set", update}, {"Attach", update}, {"Detach", update}, {"Associate", update}, {"Disassociate", update},
	{"Add", update}, {"Remove", update}, {"Tag", update}, {"Untag", update}, {"Replace", update},
	{"Authorize", configure}, {"Revoke", configure}, {"Enable", configure}, {"Disable", configure},
	{"Delete", remove}, {"Terminate", remove}, {"Release", remove}, {"Deregister", remove},
	{"StartSecretVersionDelete", remove}, {"EndSecretVersionDelete", remove},
	{"Start", execute}, {"Stop", execute}, {"Run", execute}, {"Invoke", execute}, {"Send", execute},
	{"Execute", execute}, {"Reboot", execute}, {"Decrypt", execute}, {"Encrypt", execute}, {"Sign", execute},
	{"Publish", execute}, {"Test", execute},
}

// awsClass returns the class of an operation. Logins come first, then writes
// that change permission or evidence, then the verb.
func awsClass(service, operation string, readOnly bool) daybookv1.ActionClass {
	for _, login := range awsLogins {
		if strings.HasPrefix(operation, login) {
			return authenticate
		}
	}
	class := other
	for _, row := range awsVerbs {
		if strings.HasPrefix(operation, row.prefix) {
			class = row.class
			break
		}
	}
	if class == read || class == execute && !awsGuards[service] {
		return class
	}
	if readOnly {
		return read
	}
	if awsGuards[service] {
		return configure
	}
	for _, word := range awsGuardWords {
		if strings.Contains(operation, word) {
			return configure
		}
	}
	return class
}

// awsDenied and awsThrottled are in the error codes of refused and slowed-down
// calls, whatever the service puts before or behind them.
var (
	awsDenied = []string{
		"AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized", "AuthorizationError",
		"Forbidden", "AuthFailure", "SignatureDoesNotMatch", "InvalidClientTokenId", "UnrecognizedClient",
		"ExpiredToken", "FailedAuthentication", "Unauthorized",
	}
	awsThrottled = []string{"Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "ProvisionedThroughputExceeded"}
)

// cloudTrailOutcome sets decision and outcome. A call that failed for another
// reason than its permission may have been allowed or not: the record does not
// tell. What is no call of an API is decided by nobody.
func cloudTrailOutcome(o object, b *builder) {
	code, reason := o.text("errorCode"), o.text("errorMessage")
	signIn := o.text("responseElements", o.text("eventName"))
	if code == "" && (signIn == "Failure" || signIn == "Failed") {
		code = signIn
	}
	e := b.event
	switch {
	case code == "" && reason == "":
		e.Decision = daybookv1.Decision_DECISION_ALLOWED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, "", "")
	case code == signIn && code != "", containsAny(code, awsDenied), code == "" && containsAny(reason, []string{"Failed authentication"}):
		e.Decision = daybookv1.Decision_DECISION_DENIED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED, code, reason)
	case containsAny(code, awsThrottled):
		e.Decision = daybookv1.Decision_DECISION_NOT_EVALUATED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_THROTTLED, code, reason)
	default:
		e.Decision = daybookv1.Decision_DECISION_UNKNOWN
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_ERROR, code, reason)
	}
	if o.text("eventType") == "AwsServiceEvent" {
		e.Decision = daybookv1.Decision_DECISION_NOT_EVALUATED
	}
}

// containsAny reports whether s contains one of the words.
func containsAny(s string, words []string) bool {
	for _, word := range words {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}
