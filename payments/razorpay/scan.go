package razorpay

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// members walks over the members of a JSON object: names and values as they are written.
// What is no object has none. doc must be valid JSON, as encoding/json hands it to an
// UnmarshalJSON.
//
// encoding/json reads a document by reflection and fails as a whole when one field is odd.
// Here each field stands for itself, and reading one costs no allocation.
func members(doc []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		rest := trim(doc)
		if len(rest) == 0 || rest[0] != '{' {
			return
		}
		for rest = trim(rest[1:]); rest[0] != '}'; {
			var name, value []byte
			name, rest = first(rest)
			value, rest = first(trim(rest)[1:]) // behind the colon
			if !yield(name[1:len(name)-1], value) {
				return
			}
			if rest = trim(rest); rest[0] == ',' {
				rest = trim(rest[1:])
			}
		}
	}
}

// first returns the first value of valid JSON, and what stands behind it.
func first(doc []byte) (value, rest []byte) {
	doc = trim(doc)
	end, depth := 0, 0
	for {
		switch c := doc[end]; c {
		case '"':
			end = endOfText(doc, end)
		case '{', '[':
			depth++
			end++
		case '}', ']':
			depth--
			end++
		case ',', ':', ' ', '\t', '\r', '\n':
			end++
		default: // a number, true, false or null
			end = endOfWord(doc, end)
		}
		if depth == 0 {
			return doc[:end:end], doc[end:]
		}
	}
}

// endOfText returns where the text that begins at doc[begin] has ended.
func endOfText(doc []byte, begin int) int {
	for i := begin + 1; ; i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

func endOfWord(doc []byte, begin int) int {
	if n := bytes.IndexAny(doc[begin:], ",]} \t\r\n"); n >= 0 {
		return begin + n
	}
	return len(doc)
}

func trim(doc []byte) []byte { return bytes.TrimLeft(doc, " \t\r\n") }

// isNull reports whether a value is null, or none.
func isNull(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

// isNested reports whether a value is an object or an array.
func isNested(value []byte) bool { return len(value) > 0 && (value[0] == '{' || value[0] == '[') }

// scalar reads a string, a number or a bool as text. Anything else is empty.
func scalar(value []byte) string {
	switch {
	case isNull(value) || isNested(value):
		return ""
	case value[0] != '"':
		return string(value)
	case bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value):
		return string(value[1 : len(value)-1])
	}
	var s string
	_ = json.Unmarshal(value, &s) // valid
	return s
}
