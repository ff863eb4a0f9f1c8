package smtp

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// weigh notes how long a file will be.
func (l *letter) weigh(file *notify.File) {
	l.opens = l.opens || file.Open != nil
	l.files += base64Length(fileSize(file))
}

func fileSize(file *notify.File) int64 {
	if file.Open != nil {
		return file.Size
	}
	return int64(len(file.Data))
}

// base64Length is how long n bytes are in lines of 76, of which the last has no end.
func base64Length(n int64) int64 {
	n = (n + 2) / 3 * 4
	if n == 0 {
		return 0
	}
	return n + 2*((n-1)/76)
}

// copyFile writes a file to w, or only counts it. A failure is kept in the letter, for w
// never fails: gomail would panic.
func (l *letter) copyFile(w io.Writer, i int, file *notify.File) {
	switch {
	case l.counting:
		l.size += base64Length(fileSize(file))
	case l.failure != nil || l.failed != nil && l.failed():
	case file.Open == nil: // in pieces, for gomail encodes each to its end, whatever has failed
		for p := range slices.Chunk(file.Data, 12<<10) {
			if l.failed != nil && l.failed() {
				return
			}
			_, _ = w.Write(p)
		}
	default:
		if err := l.stream(w, i, file); err != nil {
			l.failure = &fileError{i, err}
		}
	}
}

// stream opens the file, and writes as many bytes of it as it said it has. That there is
// none more is known before the end of the message is written, and that it is the one which
// was signed.
func (l *letter) stream(w io.Writer, i int, file *notify.File) (err error) {
	defer func() {
		if recover() != nil { // its text could name the file
			err = errFilePanic
		}
	}()
	r, err := file.Open()
	if err != nil {
		return err
	}
	if r == nil {
		return errors.New("there is nothing to read")
	}
	defer r.Close()
	if l.signed == nil {
		return l.copyBytes(w, r, file.Size)
	}
	sum := sha256.New()
	if err := l.copyBytes(io.MultiWriter(w, sum), r, file.Size); err != nil || l.failed() {
		return err
	}
	if !l.signed.sameFile(i, string(sum.Sum(nil))) {
		return errFileChanged
	}
	return nil
}

// maxIdle is how often in a row a reader may have nothing to say.
const maxIdle = 100

// copyBytes copies size bytes, and then r must be at its end. It asks for one byte more than
// there should be.
func (l *letter) copyBytes(w io.Writer, r io.Reader, size int64) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	p := (*buffer)[:cap(*buffer)]
	left, idle := size, 0
	for !l.failed() {
		n, err := r.Read(p[:min(int64(len(p)), left+1)])
		if int64(n) > left || err == io.EOF && int64(n) < left {
			return errFileSize
		}
		_, _ = w.Write(p[:n])
		left -= int64(n)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		default:
			if idle++; idle == maxIdle {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

var (
	// errFileSize is a file that is not as long as its Size.
	errFileSize = errors.New("the file is longer or shorter than its Size")
	// errFileChanged is a file that was another when it was signed.
	errFileChanged = errors.New("the file changed after it was signed")
	// errFilePanic is a file that panicked where it was opened, read or closed.
	errFilePanic = errors.New("the file panicked")
	// errRendering is a letter that gomail could not render.
	errRendering = errors.New("the message cannot be rendered")
	// errLength is a letter that comes out longer or shorter than it was.
	errLength = errors.New("the message changed while it was sent")
)

// fileError is a file that could not be sent, by its place.
type fileError struct {
	file  int
	cause error
}

func (e *fileError) Error() string { return "a file could not be read" }

// ofFile makes the error of a file that stopped its message at op, nil for another error. The
// application's own error may name the file, so it is kept as far as it is known only.
func ofFile(op string, err error) error {
	if err == errLength || err == errRendering {
		return failed(op, telemed.ErrUnavailable, err.Error())
	}
	e, ok := errors.AsType[*fileError](err)
	if !ok {
		return nil
	}
	field := "Content.Files[" + strconv.Itoa(e.file) + "]"
	switch {
	case errors.Is(e.cause, errFileSize):
		wrong := failed(op, telemed.ErrInvalid, "a file is longer or shorter than its Size")
		wrong.Err = &telemed.FieldError{Field: field + ".Size", Problem: "is not how long the file is"}
		return wrong
	case errors.Is(e.cause, errFileChanged):
		wrong := failed(op, telemed.ErrInvalid, "a file changed after it was signed")
		wrong.Err = &telemed.FieldError{Field: field + ".Open", Problem: "opened another file when the message was signed"}
		return wrong
	}
	unread := failed(op, telemed.ErrUnavailable, e.Error())
	unread.Err = fault.Cause(e.cause)
	return unread
}
