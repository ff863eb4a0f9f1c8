package smtptest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"
)

// Message is an accepted mail: its envelope, and its content as a mail program reads it.
type Message struct {
	// Sender and Recipients are the envelope's.
	Sender     string
	Recipients []string
	// At is when it was accepted.
	At time.Time
	// Username is who logged in, empty if nobody did; TLS says whether the connection was
	// encrypted.
	Username string
	TLS      bool

	// ID is the Message-ID without its angle brackets.
	ID string
	// From, To and Subject are the header's, decoded; nil and empty if it has none.
	From    *mail.Address
	To      []*mail.Address
	Subject string
	// Text and HTML are the bodies, decoded, with "\n" for line ends; Calendar is the
	// invitation shown with them, as it came. Each is empty if the mail has none.
	Text, HTML, Calendar string
	// Files are the attachments.
	Files []File

	// Header is the whole header, not decoded.
	Header mail.Header
	// Raw is the mail as it came.
	Raw []byte
}

// File is an attachment, decoded.
type File struct {
	Name        string
	ContentType string
	Data        []byte
}

// parse reads a mail, and refuses one that cannot be read, or not in one way only. What
// real servers take is not refused, however bare: see Check. Bytes beyond ASCII may be in
// the header with SMTPUTF8. A body may have them if its encoding says so, whether or not
// MAIL spoke of 8BITMIME: many clients send them without.
func parse(raw []byte, international bool) (Message, error) {
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if err := checkLines(head, international); err != nil {
		return Message{}, err
	}
	if err := checkLines(body, true); err != nil {
		return Message{}, err
	}
	read, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{}, errors.New("the header cannot be read")
	}
	m := Message{Header: read.Header, Raw: raw}
	if err := m.readHeader(); err != nil {
		return Message{}, err
	}
	if err := m.readPart(textproto.MIMEHeader(read.Header), read.Body, 0); err != nil {
		return Message{}, err
	}
	return m, nil
}

// onceEach are the header fields that a mail has once at most, and a good one has.
var onceEach = []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type"}

// Check reports what a careful sender does not leave to the servers on the way, which take
// the mail without: From, To, Subject, Date, Message-ID, MIME-Version and Content-Type are
// there, and no body has a byte beyond ASCII, which a server without 8BITMIME would refuse.
// A test of an application's own mail calls it. The error is for a person to read.
func (m Message) Check() error {
	for _, name := range onceEach {
		if m.Header.Get(name) == "" {
			return fmt.Errorf("smtptest: the header %s is missing or empty", name)
		}
	}
	if _, body, _ := bytes.Cut(m.Raw, []byte("\r\n\r\n")); !isASCII(body) {
		return errors.New("smtptest: a body has a byte beyond ASCII")
	}
	return nil
}

func checkLines(raw []byte, beyondASCII bool) error {
	for line := range bytes.SplitAfterSeq(raw, []byte("\n")) {
		text, whole := bytes.CutSuffix(line, []byte("\r\n"))
		switch {
		case !whole && len(line) > 0 && bytes.HasSuffix(line, []byte("\n")), bytes.IndexByte(text, '\r') >= 0:
			return errors.New("a line does not end with CRLF")
		case len(text) > 998:
			return errors.New("a line is longer than 998 octets")
		case bytes.IndexByte(text, 0) >= 0:
			return errors.New("a line holds NUL")
		}
		for _, b := range text {
			if b >= utf8.RuneSelf && !beyondASCII {
				return errors.New("a byte is beyond ASCII")
			}
		}
	}
	return nil
}

func (m *Message) readHeader() error {
	for _, name := range onceEach {
		if n := len(m.Header[name]); n > 1 { // real servers add what is missing
			return fmt.Errorf("%s is there %d times", name, n)
		}
	}
	from, err := m.Header.AddressList("From")
	if absent := errors.Is(err, mail.ErrHeaderNotPresent); !absent && (err != nil || len(from) != 1) {
		return errors.New("header From is not one address")
	} else if !absent {
		m.From = from[0]
	}
	if m.To, err = m.Header.AddressList("To"); err != nil && !errors.Is(err, mail.ErrHeaderNotPresent) {
		return errors.New("header To has no addresses")
	}
	if _, err := m.Header.Date(); err != nil && !errors.Is(err, mail.ErrHeaderNotPresent) {
		return errors.New("header Date is not a date")
	}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return errors.New("header Subject cannot be decoded")
	}
	m.ID = strings.Trim(m.Header.Get("Message-Id"), "<> ")
	return nil
}

// readPart reads a part and those inside it.
func (m *Message) readPart(header textproto.MIMEHeader, body io.Reader, depth int) error {
	if header["Content-Type"] == nil {
		return m.readLeaf(header, "text/plain", nil, body)
	}
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return errors.New("a Content-Type cannot be read")
	}
	if !strings.HasPrefix(media, "multipart/") {
		return m.readLeaf(header, media, params, body)
	}
	if depth > 5 {
		return errors.New("parts are nested too deeply")
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF { // wrapped it means that the closing boundary is missing
			return nil
		}
		if err != nil {
			return errors.New("a multipart is not closed")
		}
		if err := m.readPart(part.Header, part, depth+1); err != nil {
			return err
		}
	}
}

func (m *Message) readLeaf(header textproto.MIMEHeader, media string, params map[string]string, body io.Reader) error {
	data, err := decode(header.Get("Content-Transfer-Encoding"), body)
	if err != nil {
		return errors.New("a body cannot be decoded")
	}
	if disposition := header.Get("Content-Disposition"); disposition != "" {
		_, named, err := mime.ParseMediaType(disposition)
		if err != nil {
			return errors.New("a Content-Disposition cannot be read")
		}
		m.Files = append(m.Files, File{Name: named["filename"], ContentType: header.Get("Content-Type"), Data: data})
		return nil
	}
	switch charset := strings.ToLower(params["charset"]); {
	case charset == "utf-8" && utf8.Valid(data):
	case (charset == "" || charset == "us-ascii") && isASCII(data):
	case charset == "iso-8859-1":
		data = fromLatin1(data)
	default:
		return errors.New("a text is not in the characters that it names: UTF-8, ASCII or ISO-8859-1")
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	switch media {
	case "text/plain":
		m.Text = text
	case "text/html":
		m.HTML = text
	case "text/calendar":
		m.Calendar = string(data)
	}
	return nil
}

func decode(encoding string, body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	encoding = strings.ToLower(encoding)
	if encoding != "8bit" && encoding != "binary" && !isASCII(data) {
		return nil, errors.New("a byte is beyond ASCII")
	}
	switch encoding {
	case "base64":
		return io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data)))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(data)))
	}
	return data, nil
}

// fromLatin1 turns ISO-8859-1, whose bytes are the first code points, into UTF-8.
func fromLatin1(data []byte) []byte {
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return []byte(string(runes))
}

func isASCII(data []byte) bool {
	return !bytes.ContainsFunc(data, func(r rune) bool { return r >= utf8.RuneSelf })
}
