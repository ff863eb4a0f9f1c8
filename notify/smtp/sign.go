package smtp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// signed is what makes a letter that is signed come out the same each time.
type signed struct {
	boundaries []string       // of the rendering that was signed
	sums       map[int]string // of the files that are opened, by their place
}

// sign renders the letter for sign, which reads it meanwhile, and puts the fields that sign
// returns ahead of it. So a letter of any length is signed, and none is held whole for it.
func (l *letter) sign(ctx context.Context, sign func(io.Reader) (string, error), begin func(*header)) error {
	l.signed = &signed{sums: map[int]string{}}
	r, w := io.Pipe()
	var ok bool
	var rendering sync.WaitGroup
	rendering.Go(func() { ok = l.measureInto(ctx, w, begin) })
	fields, err := fieldsOf(sign, r, &rendering)
	switch {
	case l.failure != nil:
		return ofFile("compose", l.failure)
	case ctx.Err() != nil:
		return lost(ctx, "compose", telemed.ErrUnavailable, ctx.Err())
	case err != nil:
		return signFailed(err)
	case !ok:
		return failed("compose", telemed.ErrInvalid, "the message cannot be composed")
	case !fieldLines.MatchString(fields):
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

// fieldsOf calls sign and reads what that leaves. The rendering has ended when it returns, and
// when sign panics.
func fieldsOf(sign func(io.Reader) (string, error), r *io.PipeReader, rendering *sync.WaitGroup) (fields string, err error) {
	defer rendering.Wait()
	defer func() { _ = r.Close() }()
	if fields, err = sign(r); err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return fields, err
}

// measureInto measures the letter and writes it to w. It reports whether that went well.
func (l *letter) measureInto(ctx context.Context, w *io.PipeWriter, begin func(*header)) (ok bool) {
	defer func() {
		if recover() != nil {
			l.failure, ok = errRendering, false
		}
		_ = w.CloseWithError(l.failure)
	}()
	b := bufio.NewWriterSize(w, 16<<10)
	var broken error
	l.failed = func() bool { return broken != nil || l.failure != nil || ctx.Err() != nil }
	ok = l.measure(begin, func(p []byte) {
		if broken == nil && l.failure == nil {
			_, broken = b.Write(p)
		}
	})
	if l.failure == nil && broken == nil {
		broken = b.Flush()
	}
	return ok && broken == nil
}

// fieldLines is whole fields of a header, which may be folded, and at least one.
var fieldLines = regexp.MustCompile(`^(?:[!-9;-~]+:[\t -~]*\r\n(?:[\t ][\t ]*[!-~][\t -~]*\r\n)*)+$`)

// drawnBoundary is a boundary where gomail names it: whole in one piece, and the line is the
// second of its field. No part's own type is folded so. A text that has such a line has "=3D".
var drawnBoundary = regexp.MustCompile(`(?:^|\n) boundary=([0-9a-f]{60})(?:\r|$)`)

// sameBoundaries puts the boundaries of the first rendering in the place of those that
// gomail draws at random for each.
func (s *signed) sameBoundaries(write func([]byte)) func([]byte) {
	var drawn [][]byte
	return func(p []byte) {
		if bytes.Contains(p, []byte(" boundary=")) {
			if match := drawnBoundary.FindSubmatch(p); match != nil {
				drawn = append(drawn, bytes.Clone(match[1]))
				if len(s.boundaries) < len(drawn) {
					s.boundaries = append(s.boundaries, string(match[1]))
				}
			}
		}
		for i, b := range drawn {
			if first := s.boundaries[i]; first != string(b) && bytes.Contains(p, b) {
				p = bytes.ReplaceAll(p, b, []byte(first))
			}
		}
		write(p)
	}
}

// sameFile notes the sum of a file that is opened, or compares it with the one noted. What
// was signed and what is sent must be the same.
func (s *signed) sameFile(i int, sum string) bool {
	first, ok := s.sums[i]
	if !ok {
		s.sums[i] = sum
	}
	return !ok || first == sum
}
