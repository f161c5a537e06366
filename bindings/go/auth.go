package pusher

import (
	"net/url"
)

// MemberData describes the user who joins a presence channel.
type MemberData struct {
	UserID   string            `json:"user_id"`
	UserInfo map[string]string `json:"user_info,omitempty"` // for other objects: AuthorizeChannel
}

// AuthorizePrivateChannel returns the response to a client's request to subscribe to a private channel. params is the request's body, a form with
// channel_name and socket_id. Authorize only after you checked that the user may see the channel.
func (c *Client) AuthorizePrivateChannel(params []byte) (response []byte, err error) {
	form, failed := parseForm(params, "channel_name", "socket_id")
	if failed != nil {
		return nil, failed
	}
	return c.AuthorizeChannel(form[0], form[1], nil)
}

// AuthorizePresenceChannel is AuthorizePrivateChannel for a presence channel, which member joins.
func (c *Client) AuthorizePresenceChannel(params []byte, member MemberData) (response []byte, err error) {
	form, failed := parseForm(params, "channel_name", "socket_id")
	if failed != nil {
		return nil, failed
	}
	return c.AuthorizeChannel(form[0], form[1], member)
}

// AuthenticatePrivateChannel is AuthorizePrivateChannel.
//
// Deprecated: use AuthorizePrivateChannel.
func (c *Client) AuthenticatePrivateChannel(params []byte) (response []byte, err error) {
	return c.AuthorizePrivateChannel(params)
}

// AuthenticatePresenceChannel is AuthorizePresenceChannel.
//
// Deprecated: use AuthorizePresenceChannel.
func (c *Client) AuthenticatePresenceChannel(params []byte, member MemberData) (response []byte, err error) {
	return c.AuthorizePresenceChannel(params, member)
}

// AuthorizeChannel authorizes a subscription from values instead of a form. channelData is written as JSON; a string becomes a JSON string. For a
// presence channel it is an object with user_id and optionally user_info, such as a MemberData or a map; for other channels any value, or nil.
func (c *Client) AuthorizeChannel(channel, socketID string, channelData any) (response []byte, err error) {
	f := newFrame(opAuthorize)
	f.text("channel", channel)
	f.text("socket_id", socketID)
	if channelData != nil {
		f.json("channel_data", channelData)
	}
	return c.sign(f, 0)
}

// Subscription is one of several channels to authorize.
type Subscription struct {
	Channel     string `json:"channel"`
	ChannelData any    `json:"channel_data,omitempty"` // an object, such as a MemberData, or a string that contains JSON; nil for none
}

// AuthorizeChannels authorizes several subscriptions of one connection, at most 100: it returns the response to a batch authorizer, such as
// pusher-js-auth: an object with {"status":200,"data":{"auth":…}} or {"status":400,"error":{…}} for each channel. An invalid channel does not
// affect the others. Authorize only channels that the user may see, and leave out the others.
func (c *Client) AuthorizeChannels(socketID string, subscriptions []Subscription) (response []byte, err error) {
	if subscriptions == nil {
		subscriptions = []Subscription{}
	}
	f := newFrame(opAuthorizeAll)
	f.text("socket_id", socketID)
	f.json("channels", subscriptions)
	return c.sign(f, 0)
}

// AuthenticateUser returns the response to a client's request to sign a user in. params is the request's body, a form with socket_id; userData
// has "id", a string, and any other members.
func (c *Client) AuthenticateUser(params []byte, userData map[string]any) (response []byte, err error) {
	form, failed := parseForm(params, "socket_id")
	if failed != nil {
		return nil, failed
	}
	if userData == nil {
		userData = map[string]any{}
	}
	response, err = c.AuthenticateUserSocket(form[0], userData)
	return response, withUserDataText(err, userData["id"])
}

// AuthenticateUserSocket signs a user in from values instead of a form. userData is an object: a map, a struct or a json.RawMessage.
func (c *Client) AuthenticateUserSocket(socketID string, userData any) (response []byte, err error) {
	f := newFrame(opAuthenticate)
	f.text("socket_id", socketID)
	f.json("user_data", userData)
	return c.sign(f, 0)
}

// parseForm returns fields of a form. Each must be there once: with two values, one could be checked and the other signed.
func parseForm(body []byte, names ...string) ([2]string, error) {
	var found [2]string
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return found, badForm("params", "is not a form", err)
	}
	for index, name := range names {
		values := form[name]
		if len(values) != 1 {
			failed := badForm(name, "must occur exactly once in the form", nil)
			if len(values) == 0 {
				failed.setText(name + " not found")
			}
			return found, failed
		}
		found[index] = values[0]
	}
	return found, nil
}

func badForm(argument, message string, wrapped error) *Error {
	return refusal(StatusInvalidArgument, failure{Message: argument + ": " + message, Argument: argument}, wrapped)
}
