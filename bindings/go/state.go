package pusher

import (
	"context"
	"encoding/json"
)

// ChannelsParams say which channels are asked for.
type ChannelsParams struct {
	FilterByPrefix *string // only channels whose names begin so
	Info           *string // what to answer with for each, such as "user_count" (with a "presence-" filter)
}

// ChannelParams say what is asked of a channel.
type ChannelParams struct {
	Info *string // what to answer with, such as "user_count,subscription_count,cache"
}

// ChannelsList is the channels that are occupied.
type ChannelsList struct {
	Channels map[string]ChannelListItem `json:"channels"`
	Document json.RawMessage            `json:"-"` // the server's answer
}

// ChannelListItem is what the server says of one of them; 0 is also what it does not say.
type ChannelListItem struct {
	UserCount         int `json:"user_count"`
	SubscriptionCount int `json:"subscription_count"`
}

// Channel is the state of a channel.
type Channel struct {
	Name              string          `json:"-"`
	Occupied          bool            `json:"occupied"`
	UserCount         int             `json:"user_count,omitempty"`
	SubscriptionCount int             `json:"subscription_count,omitempty"`
	Cache             *CachedEvent    `json:"cache,omitempty"`
	Document          json.RawMessage `json:"-"` // the server's answer
}

// CachedEvent is the last event of a cache channel.
type CachedEvent struct {
	Data string `json:"data"`
	TTL  int    `json:"ttl"` // in seconds
}

// Users are the users on a presence channel.
type Users struct {
	List     []User          `json:"users"`
	Document json.RawMessage `json:"-"` // the server's answer
}

// User is one of them.
type User struct {
	ID string `json:"id"`
}

// UnmarshalJSON takes ids that are numbers as well: some servers hand on what they were given.
func (u *User) UnmarshalJSON(text []byte) error {
	var user struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(text, &user); err != nil {
		return err
	}
	if err := json.Unmarshal(user.ID, &u.ID); err != nil {
		u.ID = string(user.ID)
	}
	return nil
}

// Channels asks for the channels that are occupied.
func (c *Client) Channels(params ChannelsParams) (*ChannelsList, error) {
	return c.ChannelsContext(context.Background(), params)
}

// ChannelsContext is Channels within the time of a context.
func (c *Client) ChannelsContext(ctx context.Context, params ChannelsParams) (*ChannelsList, error) {
	f := newFrame(opChannels)
	f.optional("prefix_filter", params.FilterByPrefix)
	f.optional("attributes", params.Info)
	list := &ChannelsList{}
	var err error
	list.Document, err = c.ask(ctx, f, list)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Channel asks for the state of a channel.
func (c *Client) Channel(name string, params ChannelParams) (*Channel, error) {
	return c.ChannelContext(context.Background(), name, params)
}

// ChannelContext is Channel within the time of a context.
func (c *Client) ChannelContext(ctx context.Context, name string, params ChannelParams) (*Channel, error) {
	f := newFrame(opChannel)
	f.text("channel", name)
	f.optional("attributes", params.Info)
	channel := &Channel{Name: name}
	var err error
	channel.Document, err = c.ask(ctx, f, channel)
	if err != nil {
		return nil, err
	}
	return channel, nil
}

// GetChannelUsers asks for the users on a presence channel.
func (c *Client) GetChannelUsers(name string) (*Users, error) {
	return c.GetChannelUsersContext(context.Background(), name)
}

// GetChannelUsersContext is GetChannelUsers within the time of a context.
func (c *Client) GetChannelUsersContext(ctx context.Context, name string) (*Users, error) {
	f := newFrame(opUsers)
	f.text("channel", name)
	users := &Users{}
	var err error
	users.Document, err = c.ask(ctx, f, users)
	if err != nil {
		return nil, err
	}
	return users, nil
}

// ask makes a call and reads its answer, as far as it has the types that are known: Document has all of it.
func (c *Client) ask(ctx context.Context, f *frame, into any) ([]byte, error) {
	document, err := c.perform(ctx, f, options{})
	if err == nil {
		_ = json.Unmarshal(document, into)
	}
	return document, err
}

// Get asks any path of the API below /apps/{app_id}, such as "/channels". The values of params are strings, integers and booleans.
func (c *Client) Get(path string, params map[string]any) (json.RawMessage, error) {
	return c.GetContext(context.Background(), path, params)
}

// GetContext is Get within the time of a context.
func (c *Client) GetContext(ctx context.Context, path string, params map[string]any) (json.RawMessage, error) {
	f := newFrame(opGet)
	f.text("path", path)
	f.query(params)
	return c.perform(ctx, f, options{})
}

// Post posts to any path of the API below /apps/{app_id}. The body is JSON, as data is for Trigger, but for a string, which stays one; nil is {}.
func (c *Client) Post(path string, params map[string]any, body any) (json.RawMessage, error) {
	return c.PostContext(context.Background(), path, params, body)
}

// PostContext is Post within the time of a context.
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

func (f *frame) query(params map[string]any) {
	if params == nil {
		f.null()
		return
	}
	f.json("params", params)
}
