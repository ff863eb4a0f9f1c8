package redisstream

import "github.com/redis/go-redis/v9"

const (
	// firstRead is how many entries are asked for before anything is known of their size.
	firstRead = 4
	// maxRead is how many are asked for at most, however short they are.
	maxRead = 128
	// readBytes is how long an answer may be before fewer are asked for.
	readBytes = 4 << 20
	// maxAnswer is how long an answer may be at all, of entries that Config.MaxEntry allows.
	maxAnswer = 256 << 20
)

// pace says how many entries the next command asks for. Redis counts what it returns in
// entries alone, and holds the whole answer in memory, as its reader does. So the count
// grows while the entries are short, and is never larger than what fits if all are as long
// as they may be.
type pace struct {
	count int
	most  int
}

func (j *Client) newPace() pace {
	most := min(max(maxAnswer/j.cfg.MaxEntry, 1), maxRead)
	return pace{count: min(firstRead, most), most: most}
}

// heard hears what came of the last command.
func (p *pace) heard(answer []redis.XMessage) {
	size, longest := 0, 0
	for _, message := range answer {
		longest = max(longest, sizeOf(message))
		size += sizeOf(message)
	}
	switch {
	case size > readBytes:
		p.count = min(max(readBytes/longest, 1), p.most)
	case len(answer) >= p.count && size <= readBytes/2:
		p.count = min(p.count*2, p.most)
	}
}

// sizeOf is roughly what an entry takes.
func sizeOf(message redis.XMessage) int {
	size := 100
	for field, value := range message.Values {
		text, _ := value.(string)
		size += len(field) + len(text)
	}
	return size
}
