package engineio

// queue is messages that wait, and whose they are. Its zero value is empty.
type queue struct {
	messages [][]byte
	shares   []share // in the order of messages; neighbours are of different senders
}

// share is a part of a queue that belongs to one sender.
type share struct {
	from  Sender
	count int // of messages
	bytes int
}

// add appends messages and returns how many bytes they have.
func (q *queue) add(from Sender, messages [][]byte) int {
	bytes := length(messages)
	q.messages = append(q.messages, messages...)
	if last := len(q.shares) - 1; last >= 0 && q.shares[last].from == from {
		q.shares[last].count += len(messages)
		q.shares[last].bytes += bytes
		return bytes
	}
	q.shares = append(q.shares, share{from, len(messages), bytes})
	return bytes
}

// batch returns how many messages from the first on have not more than limit bytes, and at
// least 1.
func (q *queue) batch(limit int) (count int) {
	size := 0
	for count < len(q.messages) && (count == 0 || size+len(q.messages[count]) <= limit) {
		size += len(q.messages[count])
		count++
	}
	return count
}

// next is batch for the messages of the first sender alone.
func (q *queue) next(limit int) int {
	if len(q.shares) == 0 {
		return 0
	}
	return min(q.batch(limit), q.shares[0].count)
}

// cut takes the first messages off.
func (q *queue) cut(count int) (part queue) {
	part.messages = append(part.messages, q.messages[:count]...)
	clear(q.messages[:count])
	q.messages = q.messages[count:]
	for rest := part.messages; len(rest) > 0; {
		first := &q.shares[0]
		n := min(first.count, len(rest))
		taken := share{first.from, n, length(rest[:n])}
		part.shares = append(part.shares, taken)
		rest = rest[n:]
		first.count -= n
		first.bytes -= taken.bytes
		if first.count == 0 {
			q.shares = q.shares[1:]
		}
	}
	if len(q.messages) == 0 {
		*q = queue{} // gives the memory back
	}
	return part
}

func length(messages [][]byte) (n int) {
	for _, message := range messages {
		n += len(message)
	}
	return n
}
