package server

// For the tests of this package, which stand outside of it.
var (
	StatusOf        = statusOf
	FormatPageToken = formatPageToken
	ParsePageToken  = parsePageToken
	NewCodec        = newCodec
)

type PageToken = pageToken

const ForwardedKey = forwardedKey
