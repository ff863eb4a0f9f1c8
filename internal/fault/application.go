package fault

import "fmt"

// application is an error of a function of the application's own. Its text may be anybody's
// words, so that it tells only what errors.Is finds.
type application struct {
	what string
	err  error
}

// OfApplication returns the error of the application's function what, nil for nil. Its text
// repeats none of err's, which is found by errors.Is and errors.As.
func OfApplication(what string, err error) error {
	if err == nil {
		return nil
	}
	return &application{what, err}
}

// Error implements error.
func (e *application) Error() string {
	if cause := Cause(e.err); cause != nil {
		return fmt.Sprintf("%s failed with a %T: %v", e.what, e.err, cause)
	}
	return fmt.Sprintf("%s failed with a %T", e.what, e.err)
}

// Unwrap returns the application's error.
func (e *application) Unwrap() error { return e.err }
