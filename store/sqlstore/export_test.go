package sqlstore

// For tests: what no driver of this module's tests can be asked.
var (
	DialectOfPackage = dialectOfPackage
	Statements       = statements
)
