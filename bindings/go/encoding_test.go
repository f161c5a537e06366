package pusher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"testing"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// encoding/json writes U+FFFD for bytes that are no UTF-8: two names, users or payloads could become one before they are signed.

type (
	textual   struct{ text string } // by MarshalText, as time.Time
	encoded   struct{ text string } // by MarshalJSON, which calls json.Marshal
	literal   struct{ text string } // by MarshalJSON, which returns the bytes
	byPointer struct {
		Text  string
		shown string
	}
	inner    struct{ Text string }
	embedded struct{ inner }
	named    string
)

func (t textual) MarshalText() ([]byte, error)    { return []byte(t.text), nil }
func (e encoded) MarshalJSON() ([]byte, error)    { return json.Marshal(e.text) }
func (l literal) MarshalJSON() ([]byte, error)    { return []byte(`"` + l.text + `"`), nil }
func (b *byPointer) MarshalJSON() ([]byte, error) { return json.Marshal(b.shown) }

// nested returns values that hold a text, each in another place.
func nested(text string) map[string]any {
	return map[string]any{
		"a string":                  text,
		"a named string":            named(text),
		"a pointer":                 &text,
		"a slice":                   []string{"a", text},
		"an array":                  [1]any{text},
		"a map":                     map[string]string{"a": text},
		"a key":                     map[string]int{text: 1},
		"a key by MarshalText":      map[textual]int{{text}: 1},
		"a named key":               map[named]int{named(text): 1},
		"a struct":                  inner{text},
		"an embedded struct":        embedded{inner{text}},
		"five levels":               map[string]any{"a": []any{map[string]any{"b": &struct{ C any }{[]string{text}}}}},
		"MarshalText":               textual{text},
		"MarshalText below":         []any{&textual{text}},
		"MarshalJSON":               encoded{text},
		"MarshalJSON below":         map[string]any{"a": encoded{text}},
		"MarshalJSON of bytes":      literal{text},
		"MarshalJSON of a pointer":  &byPointer{Text: "a", shown: text},
		"MarshalJSON of an element": []byPointer{{Text: "a", shown: text}},
		"raw JSON below":            map[string]any{"a": json.RawMessage(`"` + text + `"`)},
		"a pointer to raw JSON":     &struct{ A *json.RawMessage }{raw(`"` + text + `"`)},
		"beside a U+FFFD":           []string{"\uFFFD", text},
		"beside an escaped one":     []any{json.RawMessage(`"\ufffd"`), text},
	}
}

func raw(text string) *json.RawMessage {
	message := json.RawMessage(text)
	return &message
}

// invalid holds texts that are no UTF-8: a byte of Latin-1, half a character, a surrogate, an overlong NUL.
var invalid = []string{"caf\xe9", "a\xc3", "\xed\xa0\x80", "\xc0\x80"}

func TestTextThatIsNotUTF8IsRefusedAtAnyDepth(t *testing.T) {
	client := unreachable.client(t)
	publisher, err := client.NewPublisher(pusher.PublisherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	for _, text := range invalid {
		for place, value := range nested(text) {
			for call, err := range map[string]error{
				"Trigger":    client.Trigger("c", "e", value),
				"SendToUser": client.SendToUser("7", "e", value),
				"batch": func() error {
					_, err := client.TriggerBatch([]pusher.Event{{Channel: "c", Name: "e", Data: "x"}, {Channel: "c", Name: "e", Data: value}})
					return err
				}(),
				"Members": func() error {
					_, err := client.TriggerContext(context.Background(), []string{"c"}, "e", "x", pusher.TriggerOptions{Members: map[string]any{"a": value}})
					return err
				}(),
				"channel data": func() error {
					_, err := client.AuthorizeChannel("presence-c", "1.2", map[string]any{"user_id": "7", "user_info": map[string]any{"a": value}})
					return err
				}(),
				"channels' data": func() error {
					given := []pusher.Subscription{{Channel: "presence-c", ChannelData: map[string]any{"user_id": "7", "user_info": map[string]any{"a": value}}}}
					_, err := client.AuthorizeChannels("1.2", given)
					return err
				}(),
				"user data": func() error {
					_, err := client.AuthenticateUser([]byte("socket_id=1.2"), map[string]any{"id": "7", "a": value})
					return err
				}(),
				"a body": func() error {
					_, err := client.Post("/x", nil, map[string]any{"a": value})
					return err
				}(),
				"Publish": func() error {
					_, err := publisher.Publish("c", "e", value)
					return err
				}(),
			} {
				if !errors.Is(err, pusher.StatusInvalidArgument) {
					t.Errorf("%s, %s, %q: %v", call, place, text, err)
				}
			}
		}
		for name, payload := range map[string]any{"a []byte": []byte(text), "raw JSON": json.RawMessage(`"` + text + `"`)} {
			if err := client.Trigger("c", "e", payload); !errors.Is(err, pusher.StatusInvalidArgument) {
				t.Errorf("%s, %q: %v", name, text, err)
			}
		}
	}
}

func TestNamesAndIDsThatAreNotUTF8AreRefused(t *testing.T) {
	client := unreachable.client(t)
	ctx := context.Background()
	publisher, err := client.NewPublisher(pusher.PublisherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	options := func(options pusher.TriggerOptions) error {
		_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", options)
		return err
	}
	published := func(channels []string, event string, params pusher.PublishParams) error {
		_, err := publisher.PublishWithParams(channels, event, "x", params)
		return err
	}
	event := func(event pusher.Event) error {
		_, err := client.TriggerBatch([]pusher.Event{event})
		return err
	}
	failure := func(_ any, err error) error { return err }
	for _, text := range invalid {
		text := text
		config := func(set func(client *pusher.Client)) error {
			client := &pusher.Client{AppID: "1", Key: "k", Secret: "s"}
			set(client)
			return client.Check()
		}
		form := func(channel, socket string) []byte {
			return []byte(url.Values{"channel_name": {channel}, "socket_id": {socket}}.Encode())
		}
		for place, err := range map[string]error{
			"a channel":                client.Trigger(text, "e", "x"),
			"one of two channels":      client.TriggerMulti([]string{"a", text}, "e", "x"),
			"an event":                 client.Trigger("c", text, "x"),
			"a socket id":              client.TriggerExclusive("c", "e", "x", text),
			"info":                     options(pusher.TriggerOptions{Info: &text}),
			"an idempotency key":       options(pusher.TriggerOptions{IdempotencyKey: text}),
			"a member":                 options(pusher.TriggerOptions{Members: map[string]any{text: 1}}),
			"another option":           options(pusher.TriggerOptions{Extra: map[string]any{"info": text}}),
			"a batch's channel":        event(pusher.Event{Channel: text, Name: "e"}),
			"a batch's event":          event(pusher.Event{Channel: "c", Name: text}),
			"a batch's socket id":      event(pusher.Event{Channel: "c", Name: "e", SocketID: &text}),
			"a batch's info":           event(pusher.Event{Channel: "c", Name: "e", Info: &text}),
			"a user":                   client.SendToUser(text, "e", "x"),
			"a user to terminate":      client.TerminateUserConnections(text),
			"a prefix":                 failure(client.Channels(pusher.ChannelsParams{FilterByPrefix: &text})),
			"attributes":               failure(client.Channels(pusher.ChannelsParams{Info: &text})),
			"a channel to query":       failure(client.Channel(text, pusher.ChannelParams{})),
			"a channel's users":        failure(client.GetChannelUsers("presence-" + text)),
			"a path":                   failure(client.Get("/"+text, nil)),
			"a parameter":              failure(client.Get("/channels", map[string]any{"a": text})),
			"a channel to authorize":   failure(client.AuthorizePrivateChannel(form("private-"+text, "1.2"))),
			"a form's socket id":       failure(client.AuthorizePrivateChannel(form("private-c", text))),
			"a member's id":            failure(client.AuthorizePresenceChannel(form("presence-c", "1.2"), pusher.MemberData{UserID: text})),
			"a member's info":          failure(client.AuthorizePresenceChannel(form("presence-c", "1.2"), pusher.MemberData{UserID: "7", UserInfo: map[string]string{"a": text}})),
			"a key of a member's info": failure(client.AuthorizePresenceChannel(form("presence-c", "1.2"), pusher.MemberData{UserID: "7", UserInfo: map[string]string{text: "a"}})),
			"a user's id":              failure(client.AuthenticateUser(form("", "1.2"), map[string]any{"id": text})),
			"a publisher's channel":    published([]string{text}, "e", pusher.PublishParams{}),
			"a publisher's event":      published([]string{"c"}, text, pusher.PublishParams{}),
			"a publisher's user":       published(nil, "e", pusher.PublishParams{UserID: text}),
			"a publisher's conflate":   published([]string{"c"}, "e", pusher.PublishParams{Conflate: text}),
			"the key":                  config(func(client *pusher.Client) { client.Key = text }),
			"the secret":               config(func(client *pusher.Client) { client.Secret = text }),
			"the host":                 config(func(client *pusher.Client) { client.Host = text }),
			"a header":                 config(func(client *pusher.Client) { client.Headers = map[string]string{"X": text} }),
			"a webhook token":          config(func(client *pusher.Client) { client.WebhookTokens = []pusher.WebhookToken{{Key: "k", Secret: text}} }),
			"another setting":          config(func(client *pusher.Client) { client.Extra = map[string]any{"path": text} }),
		} {
			if !errors.Is(err, pusher.StatusInvalidArgument) && !errors.Is(err, pusher.StatusInvalidConfig) {
				t.Errorf("%s, %q: %v", place, text, err)
			}
		}
	}
}

// A U+FFFD that a program itself writes is a character as any other.
func TestTheReplacementCharacterItselfIsSent(t *testing.T) {
	server := healthy(t)
	client := server.client(t)
	count := 0
	for place, value := range nested("\uFFFD") {
		if err := client.Trigger("c", "e", value); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		count++
	}
	escaped := json.RawMessage(`"\ufffd"`)
	for _, value := range []any{
		escaped, []any{escaped}, map[string]any{"a": &escaped}, struct{ A json.RawMessage }{escaped}, []any{json.RawMessage(`"\uFFFD"`), "\uFFFD"},
		// A backslash and letters, which only look like an escape.
		[]string{`\ufffd`}, map[string]any{`a\ufffd`: []any{`\\ufffd`, escaped, encoded{`\ufffd`}}},
	} {
		if err := client.Trigger("c", "e", value); err != nil {
			t.Error(err)
		}
		count++
	}
	if got := len(server.applied(t)); got != count {
		t.Error(fmt.Sprint(got, " events, not ", count))
	}
}
