package engineio

import "io"

// readSize is how many bytes of a WebSocket are read at once. What pages send is short, and
// every connection has such a buffer for life; long messages go past it.
const readSize = 56

// smallReader reads a connection through a buffer that is a part of it. Its zero value with
// from is ready.
type smallReader struct {
	from       io.Reader
	buffer     [readSize]byte
	next, last uint8 // buffer[next:last] is not read yet
}

// buffered returns how many bytes are here.
func (r *smallReader) buffered() int { return int(r.last - r.next) }

// wait returns when some bytes are here, or none will come.
func (r *smallReader) wait() {
	if r.buffered() == 0 {
		_ = r.fill() // the next Read has the error, too
	}
}

// Read implements io.Reader.
func (r *smallReader) Read(p []byte) (n int, err error) {
	if r.buffered() == 0 {
		if len(p) >= readSize {
			return r.from.Read(p)
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n = copy(p, r.buffer[r.next:r.last])
	r.next += uint8(n)
	return n, nil
}

// take returns the next n bytes, of not more than readSize. They are good until the next
// call of a method.
func (r *smallReader) take(n int) ([]byte, error) {
	for r.buffered() < n {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	taken := r.buffer[r.next:][:n]
	r.next += uint8(n)
	return taken, nil
}

// fill reads more bytes behind those that are here.
func (r *smallReader) fill() error {
	r.last = uint8(copy(r.buffer[:], r.buffer[r.next:r.last]))
	r.next = 0
	n, err := r.from.Read(r.buffer[r.last:])
	r.last += uint8(n)
	if n > 0 {
		return nil
	}
	return err
}
