package pusher

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

// TriggerParams are the options of an event that Pusher's SDK knows. TriggerOptions has more.
type TriggerParams struct {
	SocketID *string // excludes this connection
	Info     *string // attributes of the channels to return, such as "user_count,subscription_count"
}

func (p TriggerParams) more() TriggerOptions {
	return TriggerOptions{SocketID: p.SocketID, Info: p.Info}
}

// TriggerOptions are the options of an event for TriggerContext and SendToUserContext.
type TriggerOptions struct {
	SocketID *string // excludes this connection
	Info     *string // attributes of the channels to return, such as "user_count,subscription_count"
	// IdempotencyKey makes a server that knows it answer as before and publish nothing. Never use a key for another event.
	IdempotencyKey string
	FanOut         bool             // sends as many requests as more channels, or encrypted ones among others, need
	Members        map[string]any   // more members of the event, which only some servers know: pusher_trigger's "extra"
	MembersInClear bool             // sends Members to an encrypted channel, too, where they are not encrypted
	Timeout        time.Duration    // of this call, instead of the client's; a context's deadline applies if it is sooner
	Response       *json.RawMessage // receives the server's response, which may have more than the list that the call returns
	Extra          map[string]any   // additional options of pusher_trigger (see pusher.h)
}

func (o *TriggerOptions) options() options {
	return options{
		socketID: o.SocketID, info: o.Info, fanOut: o.FanOut, idempotencyKey: o.IdempotencyKey,
		members: o.Members, membersInClear: o.MembersInClear, timeout: o.Timeout, extra: o.Extra,
	}
}

// TriggerBatchParams are the options of a batch.
type TriggerBatchParams struct {
	IdempotencyKey string           // of the whole batch, as in TriggerOptions
	Timeout        time.Duration    // of this call, instead of the client's; a context's deadline applies if it is sooner
	Response       *json.RawMessage // receives the server's response
	Extra          map[string]any   // additional options of pusher_trigger_batch (see pusher.h)
}

// Event is an event of a batch. Data is as for Trigger.
type Event struct {
	Channel  string
	Name     string
	Data     any
	SocketID *string
	Info     *string
}

// BatchEvent is an Event with the options that Pusher's SDK does not know.
type BatchEvent struct {
	Event
	Members        map[string]any // as in TriggerOptions
	MembersInClear bool           // as in TriggerOptions
}

// TriggerChannelsList has the attributes that Info asked for.
type TriggerChannelsList struct {
	Channels map[string]TriggerChannelListItem `json:"channels"`
}

// TriggerChannelListItem has the attributes of a channel; a missing attribute is nil.
type TriggerChannelListItem struct {
	UserCount         *int `json:"user_count,omitempty"`
	SubscriptionCount *int `json:"subscription_count,omitempty"`
}

// TriggerBatchChannelsList has the attributes that the Info of each event asked for, in the order of the events.
type TriggerBatchChannelsList struct {
	Batch []TriggerBatchChannelListItem `json:"batch"`
}

// TriggerBatchChannelListItem has the attributes of an event's channel; a missing attribute is nil.
type TriggerBatchChannelListItem struct {
	UserCount         *int `json:"user_count,omitempty"`
	SubscriptionCount *int `json:"subscription_count,omitempty"`
}

// Trigger publishes an event on a channel and waits for the server's response. A string or []byte is sent as it is, a json.RawMessage byte for byte,
// anything else as JSON.
func (c *Client) Trigger(channel string, eventName string, data any) error {
	_, err := c.TriggerContext(context.Background(), []string{channel}, eventName, data, TriggerOptions{})
	return err
}

// TriggerWithParams is Trigger with options.
func (c *Client) TriggerWithParams(channel string, eventName string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	return c.TriggerContext(context.Background(), []string{channel}, eventName, data, params.more())
}

// TriggerMulti publishes an event on up to 100 channels; TriggerContext on more, with FanOut.
func (c *Client) TriggerMulti(channels []string, eventName string, data any) error {
	_, err := c.TriggerContext(context.Background(), channels, eventName, data, TriggerOptions{})
	return err
}

// TriggerMultiWithParams is TriggerMulti with options.
func (c *Client) TriggerMultiWithParams(channels []string, eventName string, data any, params TriggerParams) (*TriggerChannelsList, error) {
	return c.TriggerContext(context.Background(), channels, eventName, data, params.more())
}

// TriggerExclusive publishes an event to all but one connection.
//
// Deprecated: use TriggerWithParams.
func (c *Client) TriggerExclusive(channel string, eventName string, data any, socketID string) error {
	_, err := c.TriggerWithParams(channel, eventName, data, TriggerParams{SocketID: &socketID})
	return err
}

// TriggerMultiExclusive publishes an event on several channels to all but one connection.
//
// Deprecated: use TriggerMultiWithParams.
func (c *Client) TriggerMultiExclusive(channels []string, eventName string, data any, socketID string) error {
	_, err := c.TriggerMultiWithParams(channels, eventName, data, TriggerParams{SocketID: &socketID})
	return err
}

// TriggerContext publishes an event on up to 100 channels, or more with FanOut, with a context.
//
// Cancelling the context ends the call at once. The error is then context.Canceled for errors.Is, and its Delivery says what is certain: the
// event was not sent, or it may have been delivered.
func (c *Client) TriggerContext(ctx context.Context, channels []string, eventName string, data any, options TriggerOptions) (*TriggerChannelsList, error) {
	f := newFrame(opTrigger)
	f.channels(channels)
	f.text("event", eventName)
	f.json("data", data)
	document, err := c.perform(ctx, f, options.options())
	if err != nil {
		return nil, withTriggerText(err, channels)
	}
	return options.read(document), nil
}

// read parses the response. An attribute of an unexpected type is nil and no error: the event was delivered, and an error could make a program
// send it again.
func (o *TriggerOptions) read(document []byte) *TriggerChannelsList {
	if o.Response != nil {
		*o.Response = document
	}
	list := &TriggerChannelsList{}
	if len(document) > len("{}") {
		_ = json.Unmarshal(document, list)
	}
	return list
}

// TriggerBatch publishes up to 10 events in one request. A batch is not atomic: if the server refuses it, some events may have been delivered.
func (c *Client) TriggerBatch(batch []Event) (*TriggerBatchChannelsList, error) {
	return c.TriggerBatchContext(context.Background(), batch)
}

// TriggerBatchContext is TriggerBatch with a context.
func (c *Client) TriggerBatchContext(ctx context.Context, batch []Event) (*TriggerBatchChannelsList, error) {
	return c.triggerBatch(ctx, len(batch), func(index int) BatchEvent { return BatchEvent{Event: batch[index]} }, TriggerBatchParams{})
}

// TriggerBatchWithParams is TriggerBatch with a context and options.
func (c *Client) TriggerBatchWithParams(ctx context.Context, batch []BatchEvent, params TriggerBatchParams) (*TriggerBatchChannelsList, error) {
	return c.triggerBatch(ctx, len(batch), func(index int) BatchEvent { return batch[index] }, params)
}

func (c *Client) triggerBatch(ctx context.Context, count int, at func(index int) BatchEvent, params TriggerBatchParams) (*TriggerBatchChannelsList, error) {
	f := newFrame(opTriggerBatch)
	f.begin()
	f.texts = append(f.texts, '[')
	for index := 0; index < count; index++ {
		event := at(index)
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
			f.member("events["+strconv.Itoa(index)+"].extra", "extra", event.Members)
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
		return nil, withBatchText(err, func(index int) string { return at(index).Channel })
	}
	if params.Response != nil {
		*params.Response = document
	}
	// As for TriggerOptions.read.
	list := &TriggerBatchChannelsList{}
	if len(document) > len("{}") {
		_ = json.Unmarshal(document, list)
	}
	return list, nil
}

// SendToUser publishes an event to all connections of a user who has signed in (AuthenticateUser).
func (c *Client) SendToUser(userID string, event string, data any) error {
	_, err := c.SendToUserContext(context.Background(), userID, event, data, TriggerOptions{})
	return err
}

// SendToUserContext is SendToUser with a context.
func (c *Client) SendToUserContext(ctx context.Context, userID string, event string, data any, options TriggerOptions) (*TriggerChannelsList, error) {
	f := newFrame(opSendToUser)
	f.text("user_id", userID)
	f.text("event", event)
	f.json("data", data)
	document, err := c.perform(ctx, f, options.options())
	if err != nil {
		return nil, withTriggerText(withUserText(err, userID), nil)
	}
	return options.read(document), nil
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
	return withUserText(err, userID)
}
