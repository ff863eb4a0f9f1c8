package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// FileSpool is a Spool of encrypted files in a directory, which must outlive the process:
// a volume, not the container's own disk. Names and contents of the files tell nothing
// about the accounts. It is safe for concurrent use, also by many processes.
type FileSpool struct {
	dir  string
	aead store.AEAD
}

const (
	spoolPurpose = "spool.v1"
	spoolSuffix  = ".token"
	// newPrefix is that of a file that is being written.
	newPrefix = "new-"
	// abandonedAfter is how old such a file is when nobody writes it any more: a write takes
	// milliseconds, and a frozen process may go on.
	abandonedAfter = time.Hour
	// maxSpoolFile bounds what is read: two tokens, sealed.
	maxSpoolFile = 4 * store.MaxToken
)

// NewFileSpool returns a spool in dir, which is made if it is not there, for its owner's
// eyes only.
func NewFileSpool(dir string, aead store.AEAD) (*FileSpool, error) {
	var p fault.Problems
	p.Required("dir", dir)
	p.NotNil("aead", aead)
	if err := p.Err("oauth: spool"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("oauth: spool: %w", err)
	}
	s := &FileSpool{dir: dir, aead: aead}
	s.sweep()
	return s, nil
}

// wireUnsaved is a file's content before it is sealed.
type wireUnsaved struct {
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
	Spent    []byte `json:"spent"`
	Token    []byte `json:"token"`
}

// Keep implements Spool: the file is on the disk, whole, when it returns.
func (s *FileSpool) Keep(ctx context.Context, u Unsaved) error {
	if err := cmp.Or(u.ID.Validate(), ctx.Err()); err != nil {
		return err
	}
	spent, err := store.EncodeToken(u.Spent)
	if err != nil {
		return err
	}
	token, err := store.EncodeToken(u.Token)
	if err != nil {
		return err
	}
	plaintext, err := json.Marshal(wireUnsaved{u.ID.Provider, u.ID.Subject, spent, token})
	if err != nil {
		return fmt.Errorf("oauth: spool: %w", err)
	}
	name := spoolName(u)
	sealed, err := s.aead.Encrypt(plaintext, []byte(spoolPurpose+name))
	if err != nil {
		return fmt.Errorf("oauth: spool: %w", err)
	}
	if err := s.write(name, sealed); err != nil {
		return fmt.Errorf("oauth: spool: %w", err)
	}
	return nil
}

// spoolName is the same for the same token, and another one for every other.
func spoolName(u Unsaved) string {
	hash := sha256.New()
	hash.Write(u.ID.AssociatedData(spoolPurpose))
	hash.Write([]byte(u.Token.Access.Reveal()))
	return hex.EncodeToString(hash.Sum(nil)) + spoolSuffix
}

// write makes the file appear whole or not at all, and stay when the power fails.
func (s *FileSpool) write(name string, data []byte) (err error) {
	temporary, err := os.CreateTemp(s.dir, newPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(data)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary.Name(), filepath.Join(s.dir, name)); err != nil {
		return err
	}
	return s.syncDir()
}

func (s *FileSpool) syncDir() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sweep removes what a process left that was killed while it wrote. Nobody needs that: a
// file counts from its renaming. One that is young may be another process's, which writes
// it right now.
func (s *FileSpool) sweep() {
	entries, _ := os.ReadDir(s.dir) // List says what is wrong with it
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), newPrefix) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(s.dir, entry.Name()))
		}
	}
}

// List implements Spool. Files that do not open are left where they are; the error, last,
// says how many.
func (s *FileSpool) List(ctx context.Context) iter.Seq2[Unsaved, error] {
	return func(yield func(Unsaved, error) bool) {
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			yield(Unsaved{}, fmt.Errorf("oauth: spool: %w", err))
			return
		}
		s.sweep()
		unopened := 0
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				yield(Unsaved{}, err)
				return
			}
			if !strings.HasSuffix(entry.Name(), spoolSuffix) {
				continue
			}
			u, err := s.read(entry.Name())
			switch {
			case errors.Is(err, fs.ErrNotExist): // dropped meanwhile
			case err != nil:
				unopened++
			case !yield(u, nil):
				return
			}
		}
		if unopened > 0 {
			yield(Unsaved{}, fmt.Errorf("oauth: spool: %d files: %w", unopened, telemed.ErrDecrypt))
		}
	}
}

func (s *FileSpool) read(name string) (Unsaved, error) {
	path := filepath.Join(s.dir, name)
	if info, err := os.Stat(path); err != nil || info.Size() > maxSpoolFile {
		return Unsaved{}, errors.Join(telemed.ErrDecrypt, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Unsaved{}, err
	}
	plaintext, err := s.aead.Decrypt(data, []byte(spoolPurpose+name))
	if err != nil {
		return Unsaved{}, err
	}
	var wire wireUnsaved
	if json.Unmarshal(plaintext, &wire) != nil {
		return Unsaved{}, telemed.ErrDecrypt
	}
	u := Unsaved{ID: store.AccountID{Provider: wire.Provider, Subject: wire.Subject}}
	if u.Spent, err = store.DecodeToken(wire.Spent); err != nil {
		return Unsaved{}, err
	}
	if u.Token, err = store.DecodeToken(wire.Token); err != nil {
		return Unsaved{}, err
	}
	return u, u.ID.Validate()
}

// Drop implements Spool.
func (s *FileSpool) Drop(_ context.Context, u Unsaved) error {
	err := os.Remove(filepath.Join(s.dir, spoolName(u)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("oauth: spool: %w", err)
	}
	return nil
}
