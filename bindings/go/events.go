package pusher

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

// TriggerParams are the options of an event.
type TriggerParams struct {
	SocketID *string // excludes this connection
	Info     *string // attributes of the channels to return, such as "user_count,subscription_count"
	// IdempotencyKey makes a server that knows it answer as before and publish nothing. Never use a key for another event.
	IdempotencyKey string
	FanOut         bool           // sends as many requests as more channels, or encrypted ones among others, need; not with HTTPClient
	Members        map[string]any // more members of the event, which only some servers know: pusher_trigger's "extra"
	MembersInClear bool           // sends Members to an encrypted channel, too, where they are not encrypted
	Timeout        time.Duration  // of this call, instead of the client's; a context's deadline applies if it is sooner
	Extra          map[string]any // additional options of pusher_trigger (see pusher.h)
}

func (p *TriggerParams) options() options {
	return options{
		socketID: p.SocketID, info: p.Info, fanOut: p.FanOut, idempotencyKey: p.IdempotencyKey,
		members: p.Members, membersInClear: p.MembersInClear, timeout: p.Timeout, extra: p.Extra,
	}
}

// TriggerBatchParams are the options of a batch.
type TriggerBatchParams struct {
	IdempotencyKey string         // of the whole batch, as in TriggerParams
	Timeout        time.Duration  // of this call, instead of the client's; a context's deadline applies if it is sooner
	Extra          map[string]any // additional options of pusher_trigger_batch (see pusher.h)
}

// Event is an event of a batch. Data is as for Trigger.
type Event struct {
	Channel  string
	Name     string
	Data     any
	SocketID *string
	Info     *string

	Members        map[string]any // as in TriggerParams
	MembersInClear bool           // as in TriggerParams
}

// TriggerChannelsList has the attributes that Info asked for.
type TriggerChannelsList struct {
	Channels map[string]TriggerChannelListItem `json:"channels"`
	Document json.RawMessage                   `json:"-"` // the server's response
}

// TriggerChannelListItem has the attributes of a channel; a missing attribute is nil.
type TriggerChannelListItem struct {
	UserCount         *int `json:"user_count,omitempty"`
	SubscriptionCount *int `json:"subscription_count,omitempty"`
}

// TriggerBatchChannelsList has the attributes that the Info of each event asked for, in the order of the events.
type TriggerBatchChannelsList struct {
	Batch    []TriggerBatchChannelListItem `json:"batch"`
	Document json.RawMessage               `json:"-"` // the server's response
}

// TriggerBatchChannelListItem has the attributes of an event's channel; a missing attribute is nil.
type TriggerBatchChannelListItem TriggerChannelListItem

// Trigger publishes an event on a channel and waits for the server's response. A string or []byte is sent as it is, a json.RawMessage byte for byte,
// anything else as JSON.
func (c *Client) Trigger(channel string, eventName string, data any) error {
	_, err := c.TriggerContext(context.Background(), []string{channel}, eventName, data, TriggerParams{})
	return err
}

// TriggerWithParams is Trigger with options.
func (c *Client) TriggerWithParams(channel string, eventName string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	return c.TriggerContext(context.Background(), []string{channel}, eventName, data, params)
}

// TriggerMulti publishes an event on up to 100 channels; TriggerMultiWithParams on more, with FanOut.
func (c *Client) TriggerMulti(channels []string, eventName string, data any) error {
	_, err := c.TriggerContext(context.Background(), channels, eventName, data, TriggerParams{})
	return err
}

// TriggerMultiWithParams is TriggerMulti with options.
func (c *Client) TriggerMultiWithParams(channels []string, eventName string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	return c.TriggerContext(context.Background(), channels, eventName, data, params)
}

// TriggerContext publishes an event on up to 100 channels, with a context.
//
// Without HTTPClient, cancelling the context does not interrupt a request that is in flight: the call continues until the response arrives or
// its timeout ends, so that it can report what happened to the event.
func (c *Client) TriggerContext(ctx context.Context, channels []string, eventName string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	f := newFrame(opTrigger)
	f.channels(channels)
	f.text("event", eventName)
	f.json("data", data)
	return triggered(c.perform(ctx, f, params.options()))
}

// triggered parses the response. An unexpected response is no error, because the event was delivered.
func triggered(document []byte, err error) (*TriggerChannelsList, error) {
	if err != nil {
		return nil, err
	}
	list := &TriggerChannelsList{Document: document}
	if len(document) > len("{}") {
		_ = json.Unmarshal(document, list)
	}
	return list, nil
}

// TriggerBatch publishes up to 10 events in one request. A batch is not atomic: if the server refuses it, some events may have been delivered.
func (c *Client) TriggerBatch(batch []Event) (*TriggerBatchChannelsList, error) {
	return c.TriggerBatchContext(context.Background(), batch)
}

// TriggerBatchContext is TriggerBatch with a context.
func (c *Client) TriggerBatchContext(ctx context.Context, batch []Event) (*TriggerBatchChannelsList, error) {
	return c.TriggerBatchWithParams(ctx, batch, TriggerBatchParams{})
}

// TriggerBatchWithParams is TriggerBatch with a context and options.
func (c *Client) TriggerBatchWithParams(ctx context.Context, batch []Event, params TriggerBatchParams) (*TriggerBatchChannelsList, error) {
	f := newFrame(opTriggerBatch)
	f.begin()
	f.texts = append(f.texts, '[')
	for index, event := range batch {
		if index > 0 {
			f.texts = append(f.texts, ',')
		}
		f.texts = append(f.texts, '{')
		f.member("", "channel", event.Channel)
		f.member("", "name", event.Name)
		f.member("events["+strconv.Itoa(index)+"].data", "data", event.Data)
		if event.SocketID != nil {
			f.member("", "socket_id", *event.SocketID)
		}
		if event.Members != nil {
			f.member("", "extra", event.Members)
		}
		if event.MembersInClear {
			f.member("", "extra_in_clear", true)
		}
		if event.Info != nil {
			f.member("", "info", *event.Info)
		}
		f.texts = append(f.texts, '}')
	}
	f.texts = append(f.texts, ']')
	f.end("events")
	more := options{idempotencyKey: params.IdempotencyKey, timeout: params.Timeout, extra: params.Extra}
	document, err := c.perform(ctx, f, more)
	if err != nil {
		return nil, err
	}
	list := &TriggerBatchChannelsList{Document: document}
	_ = json.Unmarshal(document, list)
	return list, nil
}

// SendToUser publishes an event to all connections of a user who has signed in (AuthenticateUser).
func (c *Client) SendToUser(userID string, event string, data any) error {
	_, err := c.SendToUserContext(context.Background(), userID, event, data, TriggerParams{})
	return err
}

// SendToUserContext is SendToUser with a context.
func (c *Client) SendToUserContext(ctx context.Context, userID string, event string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	f := newFrame(opSendToUser)
	f.text("user_id", userID)
	f.text("event", event)
	f.json("data", data)
	return triggered(c.perform(ctx, f, params.options()))
}

// TerminateUserConnections closes all connections of a user who has signed in.
func (c *Client) TerminateUserConnections(userID string) error {
	return c.TerminateUserConnectionsContext(context.Background(), userID)
}

// TerminateUserConnectionsContext is TerminateUserConnections with a context.
func (c *Client) TerminateUserConnectionsContext(ctx context.Context, userID string) error {
	f := newFrame(opTerminate)
	f.text("user_id", userID)
	_, err := c.perform(ctx, f, options{})
	return err
}
