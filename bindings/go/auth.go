package pusher

import (
	"net/url"
	"reflect"
)

// MemberData is who joins a presence channel.
type MemberData struct {
	UserID   string `json:"user_id"`
	UserInfo any    `json:"user_info,omitempty"` // an object: a map or a struct
}

// AuthorizePrivateChannel answers the request of a client that wants to subscribe to a private channel. params is the request's body, a form with
// channel_name and socket_id. Authorize only after you have checked that the user may see the channel.
func (c *Client) AuthorizePrivateChannel(params []byte) (response []byte, err error) {
	form, failed := parseForm(params, "channel_name", "socket_id")
	if failed != nil {
		return nil, failed
	}
	return c.AuthorizeChannel(form[0], form[1], nil)
}

// AuthorizePresenceChannel does so for a presence channel, with who joins it.
func (c *Client) AuthorizePresenceChannel(params []byte, member MemberData) (response []byte, err error) {
	form, failed := parseForm(params, "channel_name", "socket_id")
	if failed != nil {
		return nil, failed
	}
	// A nil map or pointer means that there is none, and would be written as null.
	switch info := reflect.ValueOf(member.UserInfo); info.Kind() {
	case reflect.Map, reflect.Pointer:
		if info.IsNil() {
			member.UserInfo = nil
		}
	}
	return c.AuthorizeChannel(form[0], form[1], member)
}

// AuthorizeChannel does what the two do, for those who read their requests by themselves. channelData is JSON, as data is for Trigger, but for a
// string, which stays one: for a presence channel an object with user_id and perhaps user_info, such as a MemberData; else anything, or nil.
func (c *Client) AuthorizeChannel(channel, socketID string, channelData any) (response []byte, err error) {
	f := newFrame(opAuthorize)
	f.text("channel", channel)
	f.text("socket_id", socketID)
	if channelData != nil {
		f.json("channel_data", channelData)
	}
	return c.sign(f, 0)
}

// AuthenticateUser answers the request of a client that signs a user in. params is the request's body, a form with socket_id; userData has
// "id", a string, and whatever else you like.
func (c *Client) AuthenticateUser(params []byte, userData map[string]any) (response []byte, err error) {
	form, failed := parseForm(params, "socket_id")
	if failed != nil {
		return nil, failed
	}
	return c.AuthenticateUserSocket(form[0], userData)
}

// AuthenticateUserSocket does the same for those who read their requests by themselves. userData is an object: a map, a struct or a json.RawMessage.
func (c *Client) AuthenticateUserSocket(socketID string, userData any) (response []byte, err error) {
	f := newFrame(opAuthenticate)
	f.text("socket_id", socketID)
	f.json("user_data", userData)
	return c.sign(f, 0)
}

// parseForm gives fields of a form, each of which must be there once: with two, another one may have been checked than is signed.
func parseForm(body []byte, names ...string) ([2]string, error) {
	var found [2]string
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return found, badForm("params", "is not a form", err)
	}
	for index, name := range names {
		values := form[name]
		if len(values) != 1 {
			return found, badForm(name, "must be in the form once", nil)
		}
		found[index] = values[0]
	}
	return found, nil
}

func badForm(argument, message string, wrapped error) error {
	return refusal(StatusInvalidArgument, failure{Message: argument + ": " + message, Argument: argument}, wrapped)
}
