package whatsapptest

import (
	"encoding/json"
	"time"
)

// window is how long a person who has written may be answered with free text. See
// https://developers.facebook.com/docs/whatsapp/pricing#customer-service-windows.
const window = 24 * time.Hour

// inbound is what a person has written last.
type inbound struct {
	ids map[string]bool
	at  time.Time
}

// heard notes a message from a person. The caller holds s.mu.
func (s *Server) heard(key, id string) {
	from := s.inbound[key]
	if from == nil {
		from = &inbound{ids: map[string]bool{}}
		s.inbound[key] = from
	}
	from.ids[id], from.at = true, s.engine.Now()
}

func (s *Server) windowOpen(to string) bool {
	key := s.person(to).key()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.inbound[key]
	return from != nil && s.engine.Now().Sub(from.at) < window
}

// checkReceipt checks that somebody has sent what was read.
func (s *Server) checkReceipt(c *wireCall, body []byte) *problem {
	if c.Status != "read" {
		return &problem{code: 100, text: "Param status must be one of {READ}"}
	}
	if p := unexpectedKey(body, receiptKeys); p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range s.inbound {
		if from.ids[c.MessageID] {
			return nil
		}
	}
	return &problem{code: 131009, text: "Parameter value is not valid: message_id"}
}

// keys are what an object may have. nil: it is not looked into.
type keys map[string]keys

var (
	receiptKeys = keys{"messaging_product": nil, "status": nil, "message_id": nil, "typing_indicator": {"type": nil}}

	messageKeys = keys{
		"messaging_product": nil, "recipient_type": nil, "to": nil, "type": nil, "biz_opaque_callback_data": nil,
		"recipient": nil, "image": nil, "video": nil, "audio": nil, "document": nil, "sticker": nil, "location": nil,
		"contacts": nil, "reaction": nil, "interactive": nil,
		"context": {"message_id": nil}, "text": {"body": nil, "preview_url": nil},
		"template": {
			"name": nil, "namespace": nil, "language": {"code": nil, "policy": nil},
			"components": {"type": nil, "sub_type": nil, "index": nil, "parameters": {
				"type": nil, "text": nil, "parameter_name": nil, "currency": nil, "date_time": nil, "image": nil, "document": nil,
				"video": nil, "payload": nil, "coupon_code": nil, "action": nil, "location": nil,
			}},
		},
	}
)

// unexpectedKey refuses what Meta does not know, in Meta's words.
func unexpectedKey(body []byte, known keys) *problem {
	var value any
	_ = json.Unmarshal(body, &value) // it was read before
	param, key := known.search("", value)
	switch {
	case key == "":
		return nil
	case param == "":
		return &problem{code: 100, text: `Unexpected key "` + key + `".`}
	}
	return &problem{code: 100, text: `Unexpected key "` + key + `" on param "` + param + `".`}
}

func (k keys) search(param string, value any) (place, key string) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			below, known := k[name]
			if !known {
				return param, name
			}
			if below == nil {
				continue
			}
			next := name
			if param != "" {
				next = param + "['" + name + "']"
			}
			if place, key = below.search(next, inner); key != "" {
				return place, key
			}
		}
	case []any:
		for _, inner := range value {
			if place, key = k.search(param, inner); key != "" {
				return place, key
			}
		}
	}
	return "", ""
}
