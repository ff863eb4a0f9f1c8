package signature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// forms yields the forms that a body may have had before something decoded it and encoded
// it again: as providers write JSON, without blanks, with or without "\/", and with
// letters beyond ASCII as they are or as escapes. The order of keys and the form of
// numbers stay.
func forms(body []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		trimmed := bytes.TrimSpace(body)
		for _, form := range [][]byte{trimmed, append(bytes.Clone(trimmed), '\n')} {
			if !yield(form) {
				return
			}
		}
		var compact bytes.Buffer
		if json.Compact(&compact, body) != nil {
			return
		}
		for _, slashes := range []bool{false, true} {
			for _, escape := range []string{"", `\u%04x`, `\u%04X`} {
				if !yield(rewrite(compact.Bytes(), slashes, escape)) {
					return
				}
			}
		}
	}
}

// rewrite writes every string of a compact JSON document anew. escape is the format of
// letters beyond ASCII; if empty, they stay as they are.
func rewrite(compact []byte, slashes bool, escape string) []byte {
	var out bytes.Buffer
	for len(compact) > 0 {
		if compact[0] != '"' {
			out.WriteByte(compact[0])
			compact = compact[1:]
			continue
		}
		end := stringEnd(compact)
		var text string
		if json.Unmarshal(compact[:end], &text) != nil {
			out.Write(compact[:end]) // cannot be: the document is valid
		} else {
			writeString(&out, text, slashes, escape)
		}
		compact = compact[end:]
	}
	return out.Bytes()
}

// stringEnd returns how long the string is that a valid document begins with.
func stringEnd(document []byte) int {
	for i := 1; i < len(document); i++ {
		switch document[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(document)
}

var shortEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`,
}

func writeString(out *bytes.Buffer, text string, slashes bool, escape string) {
	out.WriteByte('"')
	for _, r := range text {
		short, ok := shortEscapes[r]
		switch {
		case ok:
			out.WriteString(short)
		case r == '/' && slashes:
			out.WriteString(`\/`)
		case r < ' ':
			fmt.Fprintf(out, `\u%04x`, r)
		case r >= utf8.RuneSelf && escape != "":
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(out, escape, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
}

// fewKeys is how many keys may be in alphabetical order by chance.
const fewKeys = 6

// sortedKeys reports whether all keys of a document are in alphabetical order, as a
// language without ordered maps writes them.
func sortedKeys(document []byte) bool {
	count := 0
	decoder := json.NewDecoder(bytes.NewReader(document))
	return inOrder(decoder, &count, maxDepth) && count > fewKeys
}

// maxDepth bounds the recursion of inOrder.
const maxDepth = 32

// inOrder reads one value and counts its keys.
func inOrder(decoder *json.Decoder, count *int, depth int) bool {
	token, err := decoder.Token()
	if err != nil || depth == 0 {
		return false
	}
	opened, nested := token.(json.Delim)
	if !nested {
		return true
	}
	previous := ""
	for decoder.More() {
		if opened == '{' {
			token, err = decoder.Token()
			key, ok := token.(string)
			if err != nil || !ok || strings.Compare(key, previous) < 0 {
				return false
			}
			previous, *count = key, *count+1
		}
		if !inOrder(decoder, count, depth-1) {
			return false
		}
	}
	_, err = decoder.Token()
	return err == nil
}
