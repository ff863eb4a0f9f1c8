package smtp

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
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

// copyFile encodes a file. An error that is not of what it is written to, nor the context's
// end, is a *fileError.
func (l *letter) copyFile(ctx context.Context, w *base64Lines, p *part) error {
	var err error
	if p.file.Open == nil {
		_, err = w.Write(p.file.Data)
	} else {
		err = l.stream(ctx, w, p)
	}
	switch {
	case w.err != nil:
		return w.err
	case err == nil:
		return w.Close()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &fileError{p.index, err}
}

// stream opens the file, and writes as many bytes of it as it said it has. That there is
// none more is known before the end of the message is written, and that it is the one which
// was signed.
func (l *letter) stream(ctx context.Context, w io.Writer, p *part) (err error) {
	defer func() {
		if recover() != nil { // its text could name the file
			err = errFilePanic
		}
	}()
	r, err := p.file.Open()
	if err != nil {
		return err
	}
	if r == nil {
		return errors.New("there is nothing to read")
	}
	defer r.Close()
	if l.sums == nil {
		return copyBytes(ctx, w, r, p.file.Size)
	}
	sum := sha256.New()
	if err := copyBytes(ctx, io.MultiWriter(w, sum), r, p.file.Size); err != nil {
		return err
	}
	if !l.sameFile(p.index, string(sum.Sum(nil))) {
		return errFileChanged
	}
	return nil
}

// maxIdle is how often in a row a reader may have nothing to say.
const maxIdle = 100

// copyBytes copies size bytes, and then r must be at its end. It asks for one byte more than
// there should be.
func copyBytes(ctx context.Context, w io.Writer, r io.Reader, size int64) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	p := (*buffer)[:cap(*buffer)]
	left, idle := size, 0
	for ctx.Err() == nil { // it may be read for long before a byte of it is written
		n, err := r.Read(p[:min(int64(len(p)), left+1)])
		if int64(n) > left || err == io.EOF && int64(n) < left {
			return errFileSize
		}
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
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
	return ctx.Err()
}

var (
	// errFileSize is a file that is not as long as its Size.
	errFileSize = errors.New("the file is longer or shorter than its Size")
	// errFileChanged is a file that was another when it was signed.
	errFileChanged = errors.New("the file changed after it was signed")
	// errFilePanic is a file that panicked where it was opened, read or closed.
	errFilePanic = errors.New("the file panicked")
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
	if err == errLength {
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
