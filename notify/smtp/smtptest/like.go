package smtptest

// Like is a server that a Server resembles: in its greeting, in what it offers and in what
// order, in the codes and words of its answers, and in what it does with commands that come
// out of order. The zero value resembles none: it has enhanced codes for everything and
// refuses what the stricter of the others refuses.
//
// Two of an answer come from elsewhere on a real server, and are only an example here: the
// words of greylisting, which is an add-on of each, and the demand to log in, which
// everybody configures in another way.
type Like int

const (
	// LikePostfix is a stock Postfix 3.7 as Debian 12 has it. It refuses an empty BDAT.
	LikePostfix Like = iota + 1
	// LikeExim is a stock Exim 4.96 as Debian 12 has it. It says no enhanced codes, and
	// hangs up at RSET between two BDAT.
	LikeExim
	// LikeSMTPServer is npm's smtp-server 3, which many Node.js programs are tested with. It
	// has no CHUNKING and no enhanced codes, and offers AUTH before TLS.
	LikeSMTPServer
)

// manners are the answers of a server. Where one is empty the command is taken. In braces
// stands what is put in: host, name (of EHLO), address, arg, size, bytes, total, id.
type manners struct {
	greeting string
	tooSoon  string // to who speaks before the greeting
	hello    string // after "250-"
	helo     string
	keywords []string // those of EHLO that a Config does not take away, in their order

	unknown, tooMany     string // tooMany to the patience-th unknown command, and the end
	patience             int
	tooLong, idle        string
	noHello              string
	heloBare, ehloBare   string
	noop, rset, quit     string
	vrfy, expn, help     string
	tlsReady             string
	tlsTwice, tlsAbsent  string
	tlsArgument          string
	login, loginBad      string
	loginAgain           string
	loginInMail          string
	inMailFirst          bool // loginInMail goes before loginAgain
	loginInClear         string
	loginCancelled       string
	loginBare            string
	loginWanted          string
	noMechanism, notCode string // notCode is no Base64

	mail, mailNested              string
	mailBare, mailNobody, mailBad string // "MAIL", "MAIL FROM:" and a broken address
	parameter, body               string // unknown ones
	sizeBad, sizeAnnounced        string
	noUTF8                        string

	rcpt, rcptFirst, rcptInChunks string
	rcptBare, rcptNobody, rcptBad string
	userUnknown, greylisted       string

	dataGo, data               string
	dataFirst, dataToNobody    string // without MAIL, and without a recipient
	allRefused                 string // without one, after a refusal, the {text}
	dataInChunks, dataTooLarge string

	chunk, chunkLast           string
	chunkFirst, chunkToNobody  string
	chunkEmpty, chunkBad       string
	chunkBadEnds               bool // after chunkBad and chunkAbsent the connection ends
	chunkTooLarge, chunkAbsent string
	mailInChunks               string
	rsetInChunksEnds           bool
}

func (l Like) manners() *manners {
	switch l {
	case LikePostfix:
		return &postfix
	case LikeExim:
		return &exim
	case LikeSMTPServer:
		return &smtpServer
	}
	return &plain
}

var plain = manners{
	greeting: "220 {host} ESMTP Service Ready",
	hello:    "Hello {name}", helo: "250 2.0.0 Hello {name}",
	keywords: []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "STARTTLS", "AUTH", "SMTPUTF8", "SIZE"},

	unknown: "500 5.5.2 Command unrecognized", tooMany: "421 4.7.0 Too many errors", patience: 4,
	tooLong: "500 5.5.2 Line too long", idle: "421 4.4.2 Idle for too long",
	noHello:  "503 5.5.1 EHLO first",
	heloBare: "501 5.5.2 HELO needs a name", ehloBare: "501 5.5.2 EHLO needs a name",
	noop: "250 2.0.0 OK", rset: "250 2.0.0 OK", quit: "221 2.0.0 Bye",
	vrfy: "252 2.5.0 It may exist", expn: "502 5.5.1 Not implemented", help: "502 5.5.1 Not implemented",
	tlsReady: "220 2.0.0 Ready to start TLS", tlsTwice: "502 5.5.1 TLS is active", tlsAbsent: "502 5.5.1 Not implemented",
	tlsArgument: "501 5.5.4 STARTTLS has no argument",
	login:       "235 2.7.0 Authentication succeeded", loginBad: "535 5.7.8 Authentication failed",
	loginAgain: "503 5.5.1 Already authenticated", loginInMail: "503 5.5.1 Not within a mail",
	loginInClear: "538 5.7.11 Encryption required", loginCancelled: "501 5.7.0 Cancelled",
	loginBare: "501 5.5.4 AUTH needs a mechanism", loginWanted: "530 5.7.0 Authentication required",
	noMechanism: "504 5.7.4 No such mechanism", notCode: "501 5.5.2 Not Base64",

	mail: "250 2.1.0 OK", mailNested: "503 5.5.1 Nested MAIL",
	mailBare: "501 5.5.2 MAIL FROM:<address>", mailNobody: "501 5.5.2 MAIL FROM:<address>", mailBad: "501 5.1.7 Bad sender address",
	parameter: "555 5.5.4 Unknown parameter {arg}", body: "501 5.5.4 Unknown BODY",
	sizeBad: "501 5.5.4 SIZE is no number", sizeAnnounced: "552 5.3.4 Message too large",
	noUTF8: "504 5.5.4 SMTPUTF8 is not implemented",

	rcpt: "250 2.1.5 OK", rcptFirst: "503 5.5.1 MAIL first", rcptInChunks: "503 5.5.1 RCPT between chunks",
	rcptBare: "501 5.5.2 RCPT TO:<address>", rcptNobody: "501 5.5.2 RCPT TO:<address>", rcptBad: "501 5.1.3 Bad recipient address",
	// The texts repeat the address as real servers' do, so that a client that quotes them is
	// found out.
	userUnknown: "550 5.1.1 <{address}>: Recipient address rejected: User unknown",
	greylisted:  "451 4.7.1 <{address}>: Greylisted, please try again later",

	dataGo: "354 End with <CR><LF>.<CR><LF>", data: "250 2.0.0 OK: queued",
	dataFirst: "503 5.5.1 RCPT first", dataToNobody: "503 5.5.1 RCPT first",
	dataInChunks: "503 5.5.1 DATA between chunks", dataTooLarge: "552 5.3.4 Message too large",

	chunk: "250 2.0.0 {bytes} bytes", chunkLast: "250 2.0.0 OK: queued",
	chunkFirst: "503 5.5.1 RCPT first", chunkToNobody: "503 5.5.1 RCPT first",
	chunkEmpty: "551 5.7.1 Empty chunk", chunkBad: "501 5.5.4 BDAT size [LAST]",
	chunkTooLarge: "552 5.3.4 Message too large", chunkAbsent: "502 5.5.1 Not implemented",
	mailInChunks: "503 5.5.1 Nested MAIL",
}

var postfix = manners{
	greeting: "220 {host} ESMTP Postfix",
	hello:    "{host}", helo: "250 {host}",
	keywords: []string{
		"PIPELINING", "SIZE", "VRFY", "ETRN", "STARTTLS", "AUTH", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING",
	},

	unknown: "500 5.5.2 Error: command not recognized", tooMany: "421 4.7.0 {host} Error: too many errors", patience: 21,
	tooLong: "500 5.5.2 Error: line too long", idle: "421 4.4.2 {host} Error: timeout exceeded",
	heloBare: "501 Syntax: HELO hostname", ehloBare: "501 Syntax: EHLO hostname",
	noop: "250 2.0.0 Ok", rset: "250 2.0.0 Ok", quit: "221 2.0.0 Bye",
	vrfy: "252 2.0.0 {arg}", expn: "500 5.5.2 Error: command not recognized", help: "500 5.5.2 Error: command not recognized",
	tlsReady: "220 2.0.0 Ready to start TLS", tlsTwice: "554 5.5.1 Error: TLS already active",
	tlsAbsent: "502 5.5.1 Error: command not implemented", tlsArgument: "501 5.5.4 Syntax: STARTTLS",
	login: "235 2.7.0 Authentication successful", loginBad: "535 5.7.8 Error: authentication failed: (reason unavailable)",
	loginAgain: "503 5.5.1 Error: already authenticated", loginInMail: "503 5.5.1 Error: MAIL transaction in progress", inMailFirst: true,
	loginInClear: "503 5.5.1 Error: authentication not enabled", loginCancelled: "501 5.7.0 Authentication aborted",
	loginBare: "501 5.5.4 Syntax: AUTH mechanism", loginWanted: "530 5.7.0 Authentication required",
	noMechanism: "535 5.7.8 Error: authentication failed: Invalid authentication mechanism",
	notCode:     "535 5.7.8 Error: authentication failed: Invalid base64 data in initial response",

	mail: "250 2.1.0 Ok", mailNested: "503 5.5.1 Error: nested MAIL command",
	mailBare: "501 5.5.4 Syntax: MAIL FROM:<address>", mailNobody: "501 5.5.4 Syntax: MAIL FROM:<address>",
	mailBad:   "501 5.1.7 Bad sender address syntax",
	parameter: "555 5.5.4 Unsupported option: {arg}", body: "555 5.5.4 Unsupported option: {arg}",
	sizeBad: "501 5.5.4 Bad message size syntax", sizeAnnounced: "552 5.3.4 Message size exceeds fixed limit",
	noUTF8: "555 5.5.4 Unsupported option: SMTPUTF8",

	rcpt: "250 2.1.5 Ok", rcptFirst: "503 5.5.1 Error: need MAIL command", rcptInChunks: "503 5.5.1 Error: RCPT after BDAT",
	rcptBare: "501 5.5.4 Syntax: RCPT TO:<address>", rcptNobody: "501 5.5.4 Syntax: RCPT TO:<address>",
	rcptBad:     "501 5.1.3 Bad recipient address syntax",
	userUnknown: "550 5.1.1 <{address}>: Recipient address rejected: User unknown in virtual mailbox table",
	greylisted:  "450 4.2.0 <{address}>: Recipient address rejected: Greylisted",

	dataGo: "354 End data with <CR><LF>.<CR><LF>", data: "250 2.0.0 Ok: queued as {id}",
	dataFirst: "503 5.5.1 Error: need RCPT command", dataToNobody: "554 5.5.1 Error: no valid recipients",
	dataInChunks: "503 5.5.1 Error: DATA after BDAT", dataTooLarge: "552 5.3.4 Error: message file too big",

	chunk: "250 2.0.0 Ok: {bytes} bytes", chunkLast: "250 2.0.0 Ok: {total} bytes queued as {id}",
	chunkFirst: "503 5.5.1 Error: need RCPT command", chunkToNobody: "554 5.5.1 Error: no valid recipients",
	chunkEmpty: "551 5.7.1 Null BDAT request", chunkBad: "521 5.5.4 Syntax: BDAT count [LAST]", chunkBadEnds: true,
	chunkTooLarge: "552 5.3.4 Chunk exceeds message size limit", chunkAbsent: "521 5.5.1 Error: command not implemented",
	mailInChunks: "503 5.5.1 Error: nested MAIL command",
}

var exim = manners{
	greeting: "220 {host} ESMTP Exim 4.96 {date}",
	hello:    "{host} Hello {name} [127.0.0.1]", helo: "250 {host} Hello {name} [127.0.0.1]",
	keywords: []string{"SIZE", "8BITMIME", "PIPELINING", "PIPECONNECT", "AUTH", "CHUNKING", "STARTTLS", "SMTPUTF8", "HELP"},

	unknown: "500 unrecognized command", tooMany: "500 Too many unrecognized commands", patience: 4,
	tooLong: "500 Line too long", idle: "421 {host}: SMTP command timeout - closing connection",
	noHello:  "503 HELO or EHLO required",
	heloBare: "501 Syntactically invalid HELO argument(s)", ehloBare: "501 Syntactically invalid EHLO argument(s)",
	noop: "250 OK", rset: "250 Reset OK", quit: "221 {host} closing connection",
	vrfy: "252 Administrative prohibition", expn: "550 Administrative prohibition",
	help:     "214-Commands supported:\n214 AUTH HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP",
	tlsReady: "220 TLS go ahead", tlsTwice: "503 STARTTLS command used when not advertised",
	tlsAbsent: "503 STARTTLS command used when not advertised", tlsArgument: "501 unexpected argument data",
	login: "235 Authentication succeeded", loginBad: "535 Incorrect authentication data",
	loginAgain: "503 already authenticated", loginInMail: "503 not permitted in mail transaction",
	loginInClear: "503 AUTH command used when not advertised", loginCancelled: "501 Authentication cancelled",
	loginBare: "504 authentication mechanism not supported", loginWanted: "550 relay not permitted, authentication required",
	noMechanism: "504 {arg} authentication mechanism not supported", notCode: "501 Invalid base64 data",

	mail: "250 OK", mailNested: "503 sender already given",
	mailBare: "500 unrecognized command", mailNobody: "501 MAIL must have an address operand",
	mailBad:   "501 {arg}: missing or malformed local part",
	parameter: "501 <{address}> {arg}: malformed address: {arg} may not follow <{address}>", body: "501 invalid data for BODY",
	sizeAnnounced: "552 Message size exceeds maximum permitted",
	noUTF8:        "501 SMTPUTF8 used when not advertised",

	rcpt: "250 Accepted", rcptFirst: "503 sender not yet given", rcptInChunks: "503 only BDAT permissible after non-LAST BDAT",
	rcptBare: "500 unrecognized command", rcptNobody: "501 RCPT must have an address operand",
	rcptBad:     "501 {arg}: missing or malformed local part",
	userUnknown: "550 Unrouteable address", greylisted: "451 Greylisted, please try again later",

	dataGo: `354 Enter message, ending with "." on a line by itself`, data: "250 OK id={id}",
	dataFirst: "503 valid RCPT command must precede DATA", dataToNobody: "503 valid RCPT command must precede DATA",
	allRefused:   "503-All RCPT commands were rejected with this error:\n503-{text}\n503 Valid RCPT command must precede {arg}",
	dataInChunks: "503 only BDAT permissible after non-LAST BDAT", dataTooLarge: "552 Message size exceeds maximum permitted",

	chunk: "250 {bytes} byte chunk received", chunkLast: "250- {bytes} byte chunk, total {total}\n250 OK id={id}",
	chunkFirst: "503 valid RCPT command must precede BDAT", chunkToNobody: "503 valid RCPT command must precede BDAT",
	chunkBad: "501 missing size for BDAT command", chunkAbsent: "503 BDAT command used when CHUNKING not advertised",
	mailInChunks: "503 only BDAT permissible after non-LAST BDAT", rsetInChunksEnds: true,
}

var smtpServer = manners{
	greeting: "220 {host} ESMTP", tooSoon: "421 {host} You talk too soon",
	hello: "{host} Nice to meet you, [127.0.0.1]", helo: "250 {host} Nice to meet you, [127.0.0.1]",
	keywords: []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "AUTH", "STARTTLS", "SIZE"},

	unknown: "500 Error: command not recognized", tooMany: "421 Error: too many unrecognized commands", patience: 10,
	tooLong: "421 Error: Command line too long", idle: "421 Timeout - closing connection",
	noHello:  "503 Error: send HELO/EHLO first",
	heloBare: "501 Error: Syntax: HELO hostname", ehloBare: "501 Error: syntax: EHLO hostname",
	noop: "250 OK", rset: "250 Flushed", quit: "221 Bye",
	vrfy: "252 Try to send something. No promises though", expn: "500 Error: command not recognized",
	help:     "214 See https://tools.ietf.org/html/rfc5321 for details",
	tlsReady: "220 Ready to start TLS", tlsTwice: "503 Error: TLS already active",
	tlsAbsent: "500 Error: command not recognized", tlsArgument: "501 Error: syntax: STARTTLS",
	login: "235 Authentication successful", loginBad: "535 Error: Authentication credentials invalid",
	loginAgain: "503 Error: No identity changes permitted", loginInMail: "503 Error: No identity changes permitted",
	loginInClear: "538 Error: Must issue a STARTTLS command first", loginCancelled: "501 Authentication aborted",
	loginBare: "501 Error: syntax: AUTH mechanism", loginWanted: "530 Error: authentication Required",
	noMechanism: "504 Error: Unrecognized authentication type", notCode: "501 Error: invalid userdata",

	mail: "250 Accepted", mailNested: "503 Error: nested MAIL command",
	mailBare: "501 Error: Bad sender address syntax", mailNobody: "501 Error: Bad sender address syntax",
	mailBad: "501 Error: Bad sender address syntax",
	body:    "501 Invalid BODY parameter value. Must be 7BIT or 8BITMIME",
	sizeBad: "501 Error: Bad message size syntax", sizeAnnounced: "552 Error: message exceeds fixed maximum message size {size}",

	rcpt: "250 Accepted", rcptFirst: "503 Error: need MAIL command",
	rcptBare: "501 Error: Bad recipient address syntax", rcptNobody: "501 Error: Bad recipient address syntax",
	rcptBad:     "501 Error: Bad recipient address syntax",
	userUnknown: "550 Error: no such user <{address}>", greylisted: "450 Error: greylisted, try again later",

	dataGo: "354 End data with <CR><LF>.<CR><LF>", data: "250 OK: message queued",
	dataFirst: "503 Error: need RCPT command", dataToNobody: "503 Error: need RCPT command",
	dataTooLarge: "552 Error: message exceeds fixed maximum message size {size}",
}
