package smtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// sign renders the letter for sign, which reads it meanwhile, and puts the fields that sign
// returns ahead of it. So a letter of any length is signed, and none is held whole for it.
func (l *letter) sign(ctx context.Context, sign func(io.Reader) (string, error), begin func(*header)) error {
	l.sums = map[int]string{}
	r, w := io.Pipe()
	var unread error
	var rendering sync.WaitGroup
	rendering.Go(func() { unread = l.measureInto(ctx, w, begin) })
	fields, err := fieldsOf(sign, r, &rendering)
	if e := ofFile("compose", unread); e != nil {
		return e
	}
	switch {
	case ctx.Err() != nil:
		return lost(ctx, "compose", telemed.ErrUnavailable, ctx.Err())
	case err != nil:
		return signFailed(err)
	case unread != nil || !fieldLines.MatchString(fields):
		return failed("compose", telemed.ErrInvalid, "the message cannot be signed")
	}
	l.head = slices.Insert(l.head, 0, []byte(fields)...)
	l.start += len(fields)
	l.size += int64(len(fields))
	return nil
}

// signFailed is temporary, as of a key that is elsewhere and cannot be reached just now,
// unless err says that a person must act.
func signFailed(err error) error {
	kind := telemed.ErrUnavailable
	if forAPerson(err) {
		kind = telemed.ErrInvalid
	}
	e := failed("compose", kind, "the message cannot be signed")
	e.Err = fault.OfApplication("Sign", err)
	return e
}

// errSignPanic is a Sign that panicked. Its text could hold the message.
var errSignPanic = fmt.Errorf("%w: it panicked", telemed.ErrInvalid)

// fieldsOf calls sign and reads what that leaves. The rendering has ended when it returns.
func fieldsOf(sign func(io.Reader) (string, error), r *io.PipeReader, rendering *sync.WaitGroup) (fields string, err error) {
	defer func() {
		if recover() != nil {
			err = errSignPanic
		}
	}()
	defer rendering.Wait()
	defer func() { _ = r.Close() }()
	if fields, err = sign(r); err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return fields, err
}

// measureInto measures the letter and writes it to w.
func (l *letter) measureInto(ctx context.Context, w *io.PipeWriter, begin func(*header)) error {
	b := bufio.NewWriterSize(w, 16<<10)
	err := l.measure(ctx, begin, b)
	if err == nil {
		err = b.Flush()
	}
	_ = w.CloseWithError(err)
	return err
}

// fieldLines is whole fields of a header, which may be folded, and at least one.
var fieldLines = regexp.MustCompile(`^(?:[!-9;-~]+:[\t -~]*\r\n(?:[\t ][\t ]*[!-~][\t -~]*\r\n)*)+$`)

// sameFile notes the sum of a file that is opened, or compares it with the one noted.
func (l *letter) sameFile(i int, sum string) bool {
	first, ok := l.sums[i]
	if !ok {
		l.sums[i] = sum
	}
	return !ok || first == sum
}
