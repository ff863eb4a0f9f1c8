package sqlstore

import "strings"

// spaces are what databases take for such. Unicode has more, which are part of a name there.
const spaces = " \t\n\v\f\r"

// statements splits a script of MySQL's at its semicolons, but for those in texts, quoted
// names and comments: its driver carries out one statement at a time.
func statements(script string) (all []string) {
	begin, content := 0, false
	cut := func(end int) {
		if content {
			all = append(all, strings.Trim(script[begin:end], spaces))
		}
		begin, content = end+1, false
	}
	for i := 0; i < len(script); {
		rest := script[i:]
		switch n := skipped(rest); {
		case rest[0] == ';':
			cut(i)
			i++
		case n > 0:
			// A comment alone is no statement, unless MySQL carries out what is in it.
			content = content || strings.ContainsRune("'\"`", rune(rest[0])) || strings.HasPrefix(rest, "/*!")
			i += n
		default:
			content = content || !strings.Contains(spaces, rest[:1])
			i++
		}
	}
	cut(len(script))
	return all
}

// skipped returns how long the text, quoted name or comment is that script begins with, 0
// if it begins with none.
func skipped(script string) int {
	switch {
	case strings.ContainsRune("'\"`", rune(script[0])):
		return quoted(script)
	case script[0] == '#', script == "--", strings.HasPrefix(script, "--") && strings.Contains(spaces, script[2:3]):
		return until(script, "\n", 0)
	case strings.HasPrefix(script, "/*"):
		return until(script, "*/", 2)
	}
	return 0
}

// quoted is the length of a text or name in quotes. Two quotes in it are one, and read as
// two texts here, which comes to the same.
func quoted(script string) int {
	for i := 1; i < len(script); i++ {
		switch {
		case script[i] == '\\' && script[0] != '`':
			i++
		case script[i] == script[0]:
			return i + 1
		}
	}
	return len(script)
}

// until is the length up to the end of mark, which is looked for from from on.
func until(script, mark string, from int) int {
	at := strings.Index(script[from:], mark)
	if at < 0 {
		return len(script)
	}
	return from + at + len(mark)
}
