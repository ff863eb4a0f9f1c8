package whatsapp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/notify"
)

// maxMedia is the most that Meta takes, for a document.
const maxMedia = 100 << 20

// Upload gives Meta a file (POST /{version}/{phone-number-id}/media) and returns its id for
// [Media], good for 30 days. The file's Name, ContentType and Data are required. An upload
// whose answer was lost may lie at Meta, where nobody sees it: it may be repeated.
func (c *Client) Upload(ctx context.Context, file notify.File) (id string, err error) {
	kind, _, typeErr := mime.ParseMediaType(file.ContentType)
	var p fault.Problems
	p.Check(file.Name != "" && !strings.ContainsAny(file.Name, "\r\n\x00/\\"), "Name", "is empty, or has a line break or slash")
	p.Check(typeErr == nil, "ContentType", "is not a MIME type")
	p.Check(len(file.Data) > 0 && len(file.Data) <= maxMedia, "Data", "is empty, or more than 100 MB")
	if err := p.Err("whatsapp: Upload"); err != nil {
		return "", err
	}
	body, contentType := form(file, kind)
	var answer struct {
		ID text `json:"id"`
	}
	_, err = c.api.Do(rest.Repeatable(ctx), rest.Request{
		Method: http.MethodPost, Path: c.path("media"), Body: body, ContentType: contentType,
	}, &answer)
	if err == nil && answer.ID == "" {
		return "", &Error{Op: "Upload", Status: http.StatusOK, kind: telemed.ErrUnavailable, Err: errors.New("answer lacks the id")}
	}
	if err != nil {
		return "", newError(ctx, "Upload", err)
	}
	return string(answer.ID), nil
}

func form(file notify.File, kind string) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("messaging_product", "whatsapp") // a Buffer takes everything
	_ = w.WriteField("type", kind)
	part, _ := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", file.Name)}, "Content-Type": {kind},
	})
	_, _ = part.Write(file.Data)
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// Download returns a file that a person sent (GET /{version}/{media-id}, and the address
// that it names), of at most 100 MB, and checks its hash. It has no Name: what a person calls
// a file is in [Inbound].Media. Treat it as a stranger's. One that is not there, or not any
// more, is telemed.ErrNotFound.
func (c *Client) Download(ctx context.Context, id string) (*notify.File, error) {
	if !idText.MatchString(id) {
		return nil, fault.Invalid("whatsapp: Download", "id", "is no id of media")
	}
	var where struct {
		URL  string `json:"url"`
		Type string `json:"mime_type"`
		Hash string `json:"sha256"`
	}
	_, err := c.api.Do(ctx, rest.Request{Path: rest.Path(c.cfg.Version, id), Query: url.Values{"phone_number_id": {c.cfg.PhoneNumberID}}}, &where)
	if err != nil {
		return nil, newError(ctx, "Download", err)
	}
	target, err := url.Parse(where.URL)
	if err != nil || !c.trusted(target) {
		return nil, &Error{Op: "Download", Status: http.StatusOK, kind: telemed.ErrUnavailable, Err: errors.New("the file is not at Meta")}
	}
	data, err := c.fetch(ctx, target)
	if err != nil {
		return nil, err
	}
	if where.Hash != "" && !hashes(where.Hash, data) {
		return nil, &Error{Op: "Download", Status: http.StatusOK, kind: telemed.ErrUnavailable, Err: errors.New("the file has another hash")}
	}
	return &notify.File{ContentType: where.Type, Data: data}, nil
}

// hashes reports whether a hash is that of data. Meta writes it in hexadecimal digits, and in
// webhooks in base64.
func hashes(hash string, data []byte) bool {
	sum := sha256.Sum256(data)
	return strings.EqualFold(hash, hex.EncodeToString(sum[:])) || hash == base64.StdEncoding.EncodeToString(sum[:])
}

// DeleteMedia deletes a file at Meta (DELETE /{version}/{media-id}). One that is not there is
// telemed.ErrNotFound.
func (c *Client) DeleteMedia(ctx context.Context, id string) error {
	if !idText.MatchString(id) {
		return fault.Invalid("whatsapp: DeleteMedia", "id", "is no id of media")
	}
	_, err := c.api.Do(ctx, rest.Request{Method: http.MethodDelete, Path: rest.Path(c.cfg.Version, id)}, nil)
	if err != nil {
		return newError(ctx, "DeleteMedia", err)
	}
	return nil
}

// trusted reports whether the token may go to an address: Meta's, or that of BaseURL.
func (c *Client) trusted(u *url.URL) bool {
	if u.User != nil || !address.Encrypted(u) {
		return false
	}
	base, _ := url.Parse(c.cfg.BaseURL) // New has checked it
	if u.Host == base.Host && u.Scheme == base.Scheme {
		return true
	}
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" && u.Port() == "" && (host == "graph.facebook.com" || host == "lookaside.fbsbx.com")
}

const (
	// mediaTimeout bounds the bytes of a file, unless the application's client has a Timeout.
	mediaTimeout = 5 * time.Minute
	// maxRedirects is how often the bytes of a file may be elsewhere.
	maxRedirects = 3
)

// mediaClient returns a client for the bytes of media, which follows no redirects by itself:
// fetch decides where the token goes.
func mediaClient(application *http.Client) *http.Client {
	c := http.Client{Timeout: mediaTimeout}
	if application != nil {
		c.Transport, c.Timeout = application.Transport, cmp.Or(application.Timeout, mediaTimeout)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// fetch gets the bytes of a file. It follows redirects to https, and the token goes to Meta
// alone.
func (c *Client) fetch(ctx context.Context, target *url.URL) ([]byte, error) {
	for range maxRedirects + 1 {
		data, next, err := c.fetchOne(ctx, target)
		if err != nil || next == nil {
			return data, err
		}
		target = next
	}
	return nil, &Error{Op: "Download", Status: http.StatusFound, kind: telemed.ErrUnavailable, Err: errors.New("too many redirects")}
}

func (c *Client) fetchOne(ctx context.Context, target *url.URL) (data []byte, next *url.URL, err error) {
	failed := func(status int, kind, cause error) error {
		if ctx.Err() != nil {
			cause = ctx.Err()
		}
		return &Error{Op: "Download", Status: status, kind: kind, Err: cause}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, nil, failed(0, telemed.ErrUnavailable, errors.New("the address cannot be used"))
	}
	if c.trusted(target) {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token.Reveal())
	}
	resp, err := c.media.Do(req)
	if err != nil {
		return nil, nil, failed(0, telemed.ErrUnavailable, fault.Cause(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 == 3:
		next, err := resp.Location()
		if err != nil || next.User != nil || next.Scheme != "https" && !c.trusted(next) {
			return nil, nil, failed(resp.StatusCode, telemed.ErrUnavailable, errors.New("the file is not at an https address"))
		}
		return nil, next, nil
	case resp.StatusCode != http.StatusOK:
		return nil, nil, failed(resp.StatusCode, mediaKind(resp.StatusCode), nil)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxMedia+1))
	if err != nil {
		return nil, nil, failed(resp.StatusCode, telemed.ErrUnavailable, errors.New("the file broke off"))
	}
	if len(data) > maxMedia {
		return nil, nil, failed(resp.StatusCode, telemed.ErrInvalid, errors.New("the file is more than 100 MB"))
	}
	return data, nil, nil
}

// mediaKind is what the status of an answer without the file means.
func mediaKind(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return telemed.ErrUnauthorized
	case http.StatusNotFound, http.StatusGone:
		return telemed.ErrNotFound
	}
	return telemed.ErrUnavailable
}
