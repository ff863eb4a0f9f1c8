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
	// From, To and Subject are the header's, decoded.
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

// parse reads a mail, and refuses one that some server or mail program on its
// way would refuse or read differently. Bytes beyond ASCII may be in its header with
// SMTPUTF8, and in bodies that say so with 8BITMIME too.
func parse(raw []byte, international, eightBit bool) (Message, error) {
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if err := checkLines(head, international); err != nil {
		return Message{}, err
	}
	if err := checkLines(body, international || eightBit); err != nil {
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
	for name, least := range map[string]int{
		"From": 1, "To": 1, "Subject": 1, "Date": 1, "Message-Id": 1,
		"Mime-Version": 0, "Content-Type": 0, // without them it is plain text
	} {
		if n := len(m.Header[name]); n < least || n > 1 {
			return fmt.Errorf("%s is there %d times", name, n)
		}
	}
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 {
		return errors.New("header From is not one address")
	}
	m.From = from[0]
	if m.To, err = m.Header.AddressList("To"); err != nil {
		return errors.New("header To has no addresses")
	}
	if _, err := m.Header.Date(); err != nil {
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
	default:
		return errors.New("a text is not in the characters that it names: UTF-8 or ASCII")
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

func isASCII(data []byte) bool {
	return !bytes.ContainsFunc(data, func(r rune) bool { return r >= utf8.RuneSelf })
}
