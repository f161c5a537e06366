package pusher

import (
	"encoding/json"
	"net/http"
)

// Webhook is what Channels tells of its channels.
type Webhook struct {
	TimeMs   int             `json:"time_ms"` // when it was sent, in milliseconds since 1970
	Events   []WebhookEvent  `json:"events"`
	Document json.RawMessage `json:"-"` // all of it
}

// WebhookEvent is one thing that has happened.
type WebhookEvent struct {
	Name              string `json:"name"` // such as "channel_occupied", "member_added" or "client_event"
	Channel           string `json:"channel"`
	Event             string `json:"event,omitempty"`     // the name of a client event
	Data              string `json:"data,omitempty"`      // its payload, decrypted on a private-encrypted- channel
	SocketID          string `json:"socket_id,omitempty"` // who sent it
	UserID            string `json:"user_id,omitempty"`
	SubscriptionCount int    `json:"subscription_count,omitempty"`
	DecryptionError   string `json:"decryption_error,omitempty"` // why Data could not be decrypted
}

// Webhook checks that a request comes from the Channels application, and reads it. header are the request's headers, body its raw body. The
// error is StatusWebhookInvalid if it is not authentic or too old: answer it with 401.
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
	// It is authentic: what has another type than expected is left out here, and is in Document.
	_ = json.Unmarshal(document, webhook)
	return webhook, nil
}

func (f *frame) header(argument string, header http.Header, name string) {
	if values := header.Values(name); len(values) > 0 {
		f.text(argument, values[0])
	} else {
		f.null()
	}
}
