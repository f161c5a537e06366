package pusher

import (
	"encoding/json"
	"net/http"
)

// Webhook is a notification by the Channels server.
type Webhook struct {
	TimeMs   int             `json:"time_ms"` // when it was sent, in milliseconds since 1970
	Events   []WebhookEvent  `json:"events"`
	Document json.RawMessage `json:"-"` // the whole webhook
}

// WebhookEvent is one event of a webhook.
type WebhookEvent struct {
	Name              string `json:"name"`                // such as "channel_occupied", "member_added" or "client_event"
	Channel           string `json:"channel"`             // empty for an event that has none
	Event             string `json:"event,omitempty"`     // the name of a client event
	Data              string `json:"data,omitempty"`      // its payload, decrypted on a private-encrypted- channel
	SocketID          string `json:"socket_id,omitempty"` // the sender's connection
	UserID            string `json:"user_id,omitempty"`
	SubscriptionCount int    `json:"subscription_count,omitempty"`
	DecryptionError   string `json:"decryption_error,omitempty"` // why Data could not be decrypted
}

// Webhook checks that a request comes from the Channels application, and parses it. header is the request's header, body its raw body. The error
// is StatusWebhookInvalid if the webhook is not authentic or too old: respond with 401.
func (c *Client) Webhook(header http.Header, body []byte) (*Webhook, error) {
	f := newFrame(opWebhook)
	f.header("key", header, "X-Pusher-Key")
	f.header("signature", header, "X-Pusher-Signature")
	f.body(body)
	document, err := c.sign(f, len(body))
	if err != nil {
		return nil, err
	}
	webhook := &Webhook{Document: document}
	// The webhook is authentic. A member of an unexpected type is missing here, but is in Document.
	_ = json.Unmarshal(document, webhook)
	if webhook.TimeMs == 0 {
		// Slanger writes a string.
		var other struct {
			TimeMs int `json:"time_ms,string"`
		}
		if json.Unmarshal(document, &other) == nil {
			webhook.TimeMs = other.TimeMs
		}
	}
	return webhook, nil
}

func (f *frame) header(argument string, header http.Header, name string) {
	if values := header.Values(name); len(values) > 0 {
		f.text(argument, values[0])
	} else {
		f.null()
	}
}
