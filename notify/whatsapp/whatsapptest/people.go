package whatsapptest

import (
	"context"
	"fmt"
	"strings"
)

// Person is somebody whom Meta knows by more than the number that is written to.
type Person struct {
	// Phone is the E.164 number.
	Phone string
	// WaID is Meta's spelling of it, digits alone. If empty, the digits of Phone.
	WaID string
	// UserID is the business-scoped user id, "IN.123…". Those who have one are told of by it,
	// too.
	UserID string
	// Hidden leaves the number out of answers and webhooks.
	Hidden bool
}

// waID is what Meta tells of the number.
func (p Person) waID() string {
	switch {
	case p.Hidden:
		return ""
	case p.WaID != "":
		return p.WaID
	}
	return strings.TrimPrefix(p.Phone, "+")
}

// key is the same for all addresses of a person.
func (p Person) key() string { return strings.TrimPrefix(p.Phone, "+") + "/" + p.UserID }

// person returns who has an address: a number, a wa_id or a user id.
func (s *Server) person(address string) Person {
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	digits := strings.TrimPrefix(address, "+")
	for _, p := range s.people {
		if digits == strings.TrimPrefix(p.Phone, "+") || digits == p.WaID || address == p.UserID {
			return p
		}
	}
	if userPattern.MatchString(address) {
		return Person{UserID: address}
	}
	return Person{Phone: "+" + digits}
}

// inboundOf returns who writes, and the beginning of the message.
func (s *Server) inboundOf(from string) (Person, map[string]any) {
	p := s.person(from)
	s.mu.Lock()
	s.next++
	id := fmt.Sprintf("wamid.INBOUND%08d", s.next)
	s.heard(p.key(), id)
	s.mu.Unlock()
	message := map[string]any{"id": id, "timestamp": s.timestamp()}
	put(message, "from", p.waID())
	put(message, "from_user_id", p.UserID)
	return p, message
}

// SendNumberChange tells the webhook that the person with a number or user id has another
// number now. Errors are those of SendRaw.
func (s *Server) SendNumberChange(ctx context.Context, from, to string) error {
	p, message := s.inboundOf(from)
	digits := strings.TrimPrefix(to, "+")
	system := map[string]string{
		"type": "user_changed_number", "body": "User changed from " + p.waID() + " to " + digits, "wa_id": digits,
	}
	if p.UserID != "" {
		system["user_id"] = p.UserID
	}
	message["type"], message["system"] = "system", system
	s.peopleMu.Lock()
	for i := range s.people {
		if s.people[i] == p {
			s.people[i].Phone, s.people[i].WaID = "+"+digits, ""
		}
	}
	s.peopleMu.Unlock()
	told, err := s.body(map[string]any{"messages": []any{message}})
	if err != nil {
		return err
	}
	return s.SendRaw(ctx, told)
}

// put sets what is not empty.
func put(object map[string]any, key, value string) {
	if value != "" {
		object[key] = value
	}
}
