package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// ChannelsParams select channels and their attributes.
type ChannelsParams struct {
	FilterByPrefix *string // only channels whose names begin with this; "" for all
	Info           *string // attributes of each channel, such as "user_count" (with a "presence-" filter)
}

// ChannelParams select the attributes of a channel.
type ChannelParams struct {
	Info *string // attributes, such as "user_count,subscription_count,cache"
}

// ChannelsList has the occupied channels.
type ChannelsList struct {
	Channels map[string]ChannelListItem `json:"channels"`
}

// ChannelListItem has the attributes of a channel; a missing attribute is 0.
type ChannelListItem struct {
	UserCount int `json:"user_count"`
}

// Channel is the state of a channel.
type Channel struct {
	Name              string
	Occupied          bool `json:"occupied,omitempty"`
	UserCount         int  `json:"user_count,omitempty"`
	SubscriptionCount int  `json:"subscription_count,omitempty"`
}

// Users has the users on a presence channel.
type Users struct {
	List []User `json:"users"`
}

// User is a user on a presence channel.
type User struct {
	ID string `json:"id"`
}

// ChannelsState is the response of ChannelsContext.
type ChannelsState struct {
	ChannelsList
	Response json.RawMessage `json:"-"` // of the server, which may have more attributes
}

// ChannelState is the response of ChannelContext.
type ChannelState struct {
	Channel
	Cache    *CachedEvent    `json:"cache,omitempty"`
	Response json.RawMessage `json:"-"` // of the server, which may have more attributes
}

// CachedEvent is the latest event of a cache channel.
type CachedEvent struct {
	Data string `json:"data"`
	TTL  int    `json:"ttl"` // in seconds
}

// UsersState is the response of GetChannelUsersContext.
type UsersState struct {
	Users
	Response json.RawMessage `json:"-"` // of the server, which may have more attributes
}

// UnmarshalJSON also accepts ids that are numbers: some servers return ids as they received them.
func (u *User) UnmarshalJSON(encoded []byte) error {
	var user struct {
		ID lenient `json:"id"`
	}
	err := json.Unmarshal(encoded, &user)
	u.ID = string(user.ID)
	return err
}

// lenient is a string that may be written as a number.
type lenient string

func (l *lenient) UnmarshalJSON(encoded []byte) error {
	var number json.Number
	if encoded[0] != '"' && json.Unmarshal(encoded, &number) == nil {
		*l = lenient(number)
		return nil
	}
	return readText(encoded, (*string)(l))
}

// Channels returns the occupied channels.
func (c *Client) Channels(params ChannelsParams) (*ChannelsList, error) {
	state, err := c.ChannelsContext(context.Background(), params)
	if err != nil {
		return nil, err
	}
	return &state.ChannelsList, nil
}

// ChannelsContext is Channels with a context.
func (c *Client) ChannelsContext(ctx context.Context, params ChannelsParams) (*ChannelsState, error) {
	f := newFrame(opChannels)
	f.optional("prefix_filter", params.FilterByPrefix)
	f.optional("attributes", params.Info)
	// PHP servers write a map without members as an array without elements.
	var list struct {
		Channels json.RawMessage `json:"channels"`
	}
	document, err := c.ask(ctx, f, &list)
	if err != nil {
		return nil, err
	}
	state := &ChannelsState{Response: document}
	if string(list.Channels) == "[]" {
		state.Channels = map[string]ChannelListItem{}
	} else if err := c.read(document, &state.ChannelsList); err != nil {
		return nil, err
	}
	return state, nil
}

// Channel returns the state of a channel.
func (c *Client) Channel(name string, params ChannelParams) (*Channel, error) {
	state, err := c.ChannelContext(context.Background(), name, params)
	if err != nil {
		return nil, err
	}
	return &state.Channel, nil
}

// ChannelContext is Channel with a context.
func (c *Client) ChannelContext(ctx context.Context, name string, params ChannelParams) (*ChannelState, error) {
	f := newFrame(opChannel)
	f.text("channel", name)
	f.optional("attributes", params.Info)
	state := &ChannelState{}
	document, err := c.ask(ctx, f, state)
	if err != nil {
		return nil, err
	}
	// Only now, because encoding/json would also set it to a member "name".
	state.Name, state.Response = name, document
	return state, nil
}

// GetChannelUsers returns the users on a presence channel. (The server decides about other channels.)
func (c *Client) GetChannelUsers(name string) (*Users, error) {
	state, err := c.GetChannelUsersContext(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return &state.Users, nil
}

// GetChannelUsersContext is GetChannelUsers with a context.
func (c *Client) GetChannelUsersContext(ctx context.Context, name string) (*UsersState, error) {
	f := newFrame(opUsers)
	f.text("channel", name)
	state := &UsersState{}
	document, err := c.ask(ctx, f, state)
	if err != nil {
		return nil, err
	}
	state.Response = document
	return state, nil
}

// ask makes a call and parses the response.
func (c *Client) ask(ctx context.Context, f *frame, into any) ([]byte, error) {
	document, err := c.perform(ctx, f, options{})
	if err != nil {
		return nil, err
	}
	return document, c.read(document, into)
}

// read parses the response to a query, whose members may have other types than expected: then the values could not be told from missing ones.
func (c *Client) read(document []byte, into any) error {
	err := json.Unmarshal(document, into)
	if err == nil && document[0] != '{' {
		err = errors.New("it is no object")
	}
	if err != nil {
		most := len(document)
		if most > 1024 { // as much as the library shows
			most = 1024
		}
		message := "the response has another form: " + strings.TrimPrefix(err.Error(), "json: ") + " (Get returns any response)"
		return refusal(StatusBadResponse, failure{Message: message, Response: strings.ToValidUTF8(string(document[:most]), "")}, err)
	}
	return nil
}

// Get sends a GET request to any path below /apps/{app_id}, such as "/channels". The values of params are strings, integers and booleans.
func (c *Client) Get(path string, params map[string]any) (json.RawMessage, error) {
	return c.GetContext(context.Background(), path, params)
}

// GetContext is Get with a context.
func (c *Client) GetContext(ctx context.Context, path string, params map[string]any) (json.RawMessage, error) {
	f := newFrame(opGet)
	f.text("path", path)
	f.query(params)
	return c.perform(ctx, f, options{})
}

// Post sends a POST request to any path below /apps/{app_id}. The body is written as JSON; a string becomes a JSON string, nil becomes {}.
func (c *Client) Post(path string, params map[string]any, body any) (json.RawMessage, error) {
	return c.PostContext(context.Background(), path, params, body)
}

// PostContext is Post with a context.
func (c *Client) PostContext(ctx context.Context, path string, params map[string]any, body any) (json.RawMessage, error) {
	f := newFrame(opPost)
	f.text("path", path)
	f.query(params)
	if body == nil {
		f.null()
	} else {
		f.json("body", body)
	}
	return c.perform(ctx, f, options{})
}

// Delete sends a DELETE request without a body to any path below /apps/{app_id}.
func (c *Client) Delete(path string, params map[string]any) (json.RawMessage, error) {
	return c.DeleteContext(context.Background(), path, params)
}

// DeleteContext is Delete with a context.
func (c *Client) DeleteContext(ctx context.Context, path string, params map[string]any) (json.RawMessage, error) {
	f := newFrame(opDelete)
	f.text("path", path)
	f.query(params)
	return c.perform(ctx, f, options{})
}

func (f *frame) query(params map[string]any) {
	if params == nil {
		f.null()
		return
	}
	f.json("params", params)
}
