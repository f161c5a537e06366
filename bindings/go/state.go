package pusher

import (
	"context"
	"encoding/json"
)

// ChannelsParams select channels and their attributes.
type ChannelsParams struct {
	FilterByPrefix *string // only channels whose names begin with this
	Info           *string // attributes of each channel, such as "user_count" (with a "presence-" filter)
}

// ChannelParams select the attributes of a channel.
type ChannelParams struct {
	Info *string // attributes, such as "user_count,subscription_count,cache"
}

// ChannelsList has the occupied channels.
type ChannelsList struct {
	Channels map[string]ChannelListItem `json:"channels"`
	Document json.RawMessage            `json:"-"` // the server's response
}

// ChannelListItem has the attributes of a channel; a missing attribute is 0.
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
	Document          json.RawMessage `json:"-"` // the server's response
}

// CachedEvent is the latest event of a cache channel.
type CachedEvent struct {
	Data string `json:"data"`
	TTL  int    `json:"ttl"` // in seconds
}

// Users has the users on a presence channel.
type Users struct {
	List     []User          `json:"users"`
	Document json.RawMessage `json:"-"` // the server's response
}

// User is a user on a presence channel.
type User struct {
	ID string `json:"id"`
}

// UnmarshalJSON also accepts ids that are numbers: some servers return ids as they received them.
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

// Channels returns the occupied channels.
func (c *Client) Channels(params ChannelsParams) (*ChannelsList, error) {
	return c.ChannelsContext(context.Background(), params)
}

// ChannelsContext is Channels with a context.
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

// Channel returns the state of a channel.
func (c *Client) Channel(name string, params ChannelParams) (*Channel, error) {
	return c.ChannelContext(context.Background(), name, params)
}

// ChannelContext is Channel with a context.
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

// GetChannelUsers returns the users on a presence channel.
func (c *Client) GetChannelUsers(name string) (*Users, error) {
	return c.GetChannelUsersContext(context.Background(), name)
}

// GetChannelUsersContext is GetChannelUsers with a context.
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

// ask makes a call and parses the response. It skips members of unexpected types: Document has the whole response.
func (c *Client) ask(ctx context.Context, f *frame, into any) ([]byte, error) {
	document, err := c.perform(ctx, f, options{})
	if err == nil {
		_ = json.Unmarshal(document, into)
	}
	return document, err
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
