package pusher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Webhook is a notification by the Channels server.
type Webhook struct {
	TimeMs int            `json:"time_ms"` // when it was sent, in milliseconds since 1970
	Events []WebhookEvent `json:"events"`
}

// WebhookEvent is one event of a webhook.
type WebhookEvent struct {
	Name              string `json:"name"`                // such as "channel_occupied", "member_added" or "client_event"
	Channel           string `json:"channel"`             // empty for an event that has none
	Event             string `json:"event,omitempty"`     // the name of a client event
	Data              string `json:"data,omitempty"`      // its payload, decrypted on a private-encrypted- channel; JSON if it is no string
	SocketID          string `json:"socket_id,omitempty"` // the sender's connection
	UserID            string `json:"user_id,omitempty"`
	SubscriptionCount int    `json:"subscription_count,omitempty"`
	DecryptionError   string `json:"decryption_error,omitempty"` // why Data could not be decrypted
}

// Webhook checks that a request comes from the Channels application, and parses it. header is the request's header, body its raw body. The error
// is StatusWebhookInvalid if the webhook is not authentic or too old, or if a field of Webhook would lose a value: respond with 401.
func (c *Client) Webhook(header http.Header, body []byte) (*Webhook, error) {
	document, err := c.WebhookDocument(header, body)
	if err != nil {
		return nil, err
	}
	webhook, err := readWebhook(document)
	if err != nil {
		return nil, withWebhookText(err)
	}
	return webhook, nil
}

// WebhookDocument is Webhook for servers whose webhooks have other members: it returns the body, in which the data of events on
// private-encrypted- channels is decrypted.
func (c *Client) WebhookDocument(header http.Header, body []byte) (json.RawMessage, error) {
	f := newFrame(opWebhook)
	f.header("key", header, "X-Pusher-Key")
	f.header("signature", header, "X-Pusher-Signature")
	f.body(body)
	document, err := c.sign(f, len(body))
	return document, withWebhookText(err)
}

func (f *frame) header(argument string, header http.Header, name string) {
	if values := header.Values(name); len(values) > 0 {
		f.text(argument, values[0])
	} else {
		f.null()
	}
}

// readWebhook parses an authentic webhook. Other servers than Pusher write ids as numbers, times as strings and data as objects.
func readWebhook(document []byte) (*Webhook, error) {
	var body struct {
		TimeMs json.RawMessage   `json:"time_ms"`
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(document, &body); err != nil {
		return nil, badWebhook("events", "must be an array of objects", err)
	}
	webhook := &Webhook{}
	if body.TimeMs != nil {
		if err := json.Unmarshal(bytes.Trim(body.TimeMs, `"`), &webhook.TimeMs); err != nil {
			return nil, badWebhook("time_ms", "must be an integer", err)
		}
	}
	if body.Events != nil {
		webhook.Events = make([]WebhookEvent, len(body.Events))
	}
	for index, text := range body.Events {
		if argument, err := webhook.Events[index].read(text); err != nil {
			return nil, badWebhook(fmt.Sprintf("events[%d]%s", index, argument), "has another type than Pusher's", err)
		}
	}
	return webhook, nil
}

// read returns the member that is wrong, if any.
func (w *WebhookEvent) read(text []byte) (argument string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	if members == nil {
		return "", errors.New("it is null")
	}
	for name, value := range members {
		switch name {
		case "name":
			err = readText(value, &w.Name)
		case "channel":
			err = readText(value, &w.Channel)
		case "event":
			err = readText(value, &w.Event)
		case "decryption_error":
			err = readText(value, &w.DecryptionError)
		case "subscription_count":
			err = json.Unmarshal(value, &w.SubscriptionCount)
		case "socket_id":
			err = json.Unmarshal(value, (*lenient)(&w.SocketID))
		case "user_id":
			err = json.Unmarshal(value, (*lenient)(&w.UserID))
		case "data":
			if readText(value, &w.Data) != nil {
				w.Data = string(value)
			}
		}
		if err != nil {
			return "." + name, err
		}
	}
	return "", nil
}

func badWebhook(argument, message string, why error) *Error {
	said := failure{Message: argument + ": " + message + " (WebhookDocument returns any webhook)", Argument: argument}
	return refusal(StatusWebhookInvalid, said, why)
}
