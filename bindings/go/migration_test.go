package pusher_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// What a program written for pusher-http-go relies on. tests/migration/go.tsv names the official tests that want the same.

// asked starts a server with one answer, and returns a client that pusher-http-go would call the same, and the requests' bodies.
func asked(t *testing.T, status int, answer string) (*pusher.Client, chan string) {
	t.Helper()
	bodies := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	client := &pusher.Client{AppID: "id", Key: "key", Secret: "secret", Host: server.Listener.Addr().String(), Insecure: true}
	client.Retry.Mode = "never"
	t.Cleanup(client.Close)
	return client, bodies
}

// offline is a client whose calls must fail before they use the network.
func offline() *pusher.Client {
	return &pusher.Client{AppID: "id", Key: "key", Secret: "secret", Host: "127.0.0.1:1", Insecure: true}
}

func whole(number int) *int { return &number }

func TestMigrationRequestsHaveTheSameContent(t *testing.T) {
	client, bodies := asked(t, 200, "{}")
	for _, wanted := range []struct {
		body string
		call func() error
	}{
		{`{"name":"e","channels":["c"],"data":"x"}`, func() error { return client.Trigger("c", "e", "x") }},
		{`{"name":"e","channels":["c"],"data":"{\"Key\":\"v\"}"}`, func() error { return client.Trigger("c", "e", struct{ Key string }{"v"}) }},
		{`{"name":"e","channels":["c","d"],"data":"x"}`, func() error { return client.TriggerMulti([]string{"c", "d"}, "e", "x") }},
		{`{"name":"e","channels":["#server-to-user-7"],"data":"x"}`, func() error { return client.SendToUser("7", "e", "x") }},
		{`{"name":"e","channels":["c"],"data":"x","socket_id":"1.2"}`, func() error { return client.TriggerExclusive("c", "e", "x", "1.2") }},
		{`{"name":"e","channels":["c","d"],"data":"x","socket_id":"1.2"}`, func() error {
			return client.TriggerMultiExclusive([]string{"c", "d"}, "e", "x", "1.2")
		}},
		{`{"name":"e","channels":["c"],"data":"x","socket_id":"1.2"}`, func() error {
			socketID := "1.2"
			_, err := client.TriggerWithParams("c", "e", "x", pusher.TriggerParams{SocketID: &socketID})
			return err
		}},
	} {
		if err := wanted.call(); err != nil {
			t.Fatal(err)
		}
		var got, expected map[string]any
		if err := json.Unmarshal([]byte(<-bodies), &got); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(wanted.body), &expected)
		same(t, "the body", got, expected)
	}
	if err := offline().TriggerExclusive("c", "e", "x", "1.2:3"); err == nil {
		t.Error("a socket id that is none")
	}
}

func TestMigrationBatchesAreTheSameByteForByte(t *testing.T) {
	info := "user_count,subscription_count"
	for _, key := range []string{"", "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="} {
		client, bodies := asked(t, 200, "{}")
		client.EncryptionMasterKeyBase64 = key
		list, err := client.TriggerBatch([]pusher.Event{{Channel: "c", Name: "e", Data: "1"}, {Channel: "d", Name: "e", Data: "2", Info: &info}})
		if err != nil || !reflect.DeepEqual(list, &pusher.TriggerBatchChannelsList{}) {
			t.Errorf("%#v, %v", list, err)
		}
		wanted := `{"batch":[{"channel":"c","name":"e","data":"1"},{"channel":"d","name":"e","data":"2","info":"user_count,subscription_count"}]}`
		same(t, "the body", <-bodies, wanted)
	}
}

func TestMigrationEncryptedEvents(t *testing.T) {
	client, bodies := asked(t, 200, "{}")
	client.EncryptionMasterKeyBase64 = "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="
	if err := client.Trigger("private-encrypted-c", "e", "plain"); err != nil {
		t.Fatal(err)
	}
	list, err := client.TriggerBatch([]pusher.Event{{Channel: "c", Name: "e", Data: "x"}, {Channel: "private-encrypted-c", Name: "e", Data: "plain"}})
	if err != nil || !reflect.DeepEqual(list, &pusher.TriggerBatchChannelsList{}) {
		t.Errorf("%#v, %v", list, err)
	}
	for range [2]int{} {
		if body := <-bodies; !strings.Contains(body, "ciphertext") || !strings.Contains(body, "nonce") || strings.Contains(body, "plain") {
			t.Error(body)
		}
	}
}

// The structs have the official fields and no others, so that comparisons and literals without names stay as they are.
func TestMigrationResultsAreEqualToTheOfficialStructs(t *testing.T) {
	info := pointer("user_count,subscription_count")
	for _, wanted := range []struct {
		answer string
		call   func(client *pusher.Client) (any, error)
		result any
	}{
		{"{}", func(client *pusher.Client) (any, error) {
			return client.TriggerWithParams("c", "e", "x", pusher.TriggerParams{})
		}, &pusher.TriggerChannelsList{}},
		{`{"channels":{"c":{"subscription_count":1}}}`, func(client *pusher.Client) (any, error) {
			return client.TriggerWithParams("c", "e", "x", pusher.TriggerParams{Info: info})
		}, &pusher.TriggerChannelsList{Channels: map[string]pusher.TriggerChannelListItem{"c": {SubscriptionCount: whole(1)}}}},
		{`{"channels":{"presence-c":{"subscription_count":2,"user_count":1},"d":{"subscription_count":3}}}`, func(client *pusher.Client) (any, error) {
			return client.TriggerMultiWithParams([]string{"presence-c", "d"}, "e", "x", pusher.TriggerParams{Info: info})
		}, &pusher.TriggerChannelsList{Channels: map[string]pusher.TriggerChannelListItem{
			"presence-c": {UserCount: whole(1), SubscriptionCount: whole(2)}, "d": {SubscriptionCount: whole(3)},
		}}},
		{`{"batch":[{"subscription_count":2,"user_count":1},{"subscription_count":3}]}`, func(client *pusher.Client) (any, error) {
			return client.TriggerBatch([]pusher.Event{{Channel: "presence-c", Name: "e", Info: info}, {Channel: "d", Name: "e", Info: info}})
		}, &pusher.TriggerBatchChannelsList{Batch: []pusher.TriggerBatchChannelListItem{{UserCount: whole(1), SubscriptionCount: whole(2)}, {SubscriptionCount: whole(3)}}}},
		{`{"channels":{"presence-a":{"user_count":1},"presence-b":{"user_count":2}}}`, func(client *pusher.Client) (any, error) {
			return client.Channels(pusher.ChannelsParams{})
		}, &pusher.ChannelsList{Channels: map[string]pusher.ChannelListItem{"presence-a": {UserCount: 1}, "presence-b": {UserCount: 2}}}},
		{`{"user_count":1,"occupied":true,"subscription_count":1,"name":"other"}`, func(client *pusher.Client) (any, error) {
			return client.Channel("c", pusher.ChannelParams{Info: info})
		}, &pusher.Channel{Name: "c", Occupied: true, UserCount: 1, SubscriptionCount: 1}},
		{`{"users":[{"id":"red"},{"id":7}]}`, func(client *pusher.Client) (any, error) {
			return client.GetChannelUsers("c")
		}, &pusher.Users{List: []pusher.User{{ID: "red"}, {ID: "7"}}}},
	} {
		client, _ := asked(t, 200, wanted.answer)
		result, err := wanted.call(client)
		if err != nil || !reflect.DeepEqual(result, wanted.result) {
			t.Errorf("%s: %#v, %v", wanted.answer, result, err)
		}
	}
}

func TestMigrationResultsAsJSON(t *testing.T) {
	for wanted, value := range map[string]any{
		`{"Name":"c","occupied":true}`:                                 pusher.Channel{Name: "c", Occupied: true},
		`{"Name":"c","user_count":1,"subscription_count":2}`:           pusher.Channel{Name: "c", UserCount: 1, SubscriptionCount: 2},
		`{"channels":{"c":{"user_count":0}}}`:                          pusher.ChannelsList{Channels: map[string]pusher.ChannelListItem{"c": {}}},
		`{"channels":{"c":{"user_count":1}}}`:                          pusher.TriggerChannelsList{Channels: map[string]pusher.TriggerChannelListItem{"c": {UserCount: whole(1)}}},
		`{"batch":[{}]}`:                                               pusher.TriggerBatchChannelsList{Batch: []pusher.TriggerBatchChannelListItem{{}}},
		`{"users":[{"id":"7"}]}`:                                       pusher.Users{List: []pusher.User{{ID: "7"}}},
		`{"user_id":"7"}`:                                              pusher.MemberData{UserID: "7"},
		`{"user_id":"7","user_info":{"a":"b"}}`:                        pusher.MemberData{UserID: "7", UserInfo: map[string]string{"a": "b"}},
		`{"time_ms":1,"events":[{"name":"n","channel":"c"}]}`:          pusher.Webhook{TimeMs: 1, Events: []pusher.WebhookEvent{{Name: "n", Channel: "c"}}},
		`{"time_ms":0,"events":[{"name":"","channel":"","data":"d"}]}`: pusher.Webhook{Events: []pusher.WebhookEvent{{Data: "d"}}},
	} {
		text, err := json.Marshal(value)
		if err != nil || string(text) != wanted {
			t.Errorf("%s, %v, not %s", text, err, wanted)
		}
	}
}

func TestMigrationTextsOfErrors(t *testing.T) {
	const text31, text32, text33 = "31 bytes 1234567890123456789012", "32 bytes 12345678901234567890123", "33 bytes 123456789012345678901234"
	const in32 = "MzIgYnl0ZXMgMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM="
	hundred := make([]string, 101)
	for index := range hundred {
		hundred[index] = fmt.Sprint(index)
	}
	large := strings.Repeat("a", 20481)
	keyed := func(old, base64 string) *pusher.Client {
		client := offline()
		client.EncryptionMasterKey, client.EncryptionMasterKeyBase64 = old, base64
		return client
	}
	one := func(event pusher.Event) error {
		_, err := offline().TriggerBatch([]pusher.Event{event})
		return err
	}
	authorized := func(client *pusher.Client, form string) error {
		_, err := client.AuthorizePrivateChannel([]byte(form))
		return err
	}
	signedIn := func(form string, data map[string]any) error {
		_, err := offline().AuthenticateUser([]byte(form), data)
		return err
	}
	const encrypted = "socket_id=1.2&channel_name=private-encrypted-c"
	for _, is := range []struct {
		err  error
		text string // the whole text, or its beginning if it ends with a colon
	}{
		{offline().SendToUser("", "e", "x"), "User id '' is invalid:"},
		{offline().SendToUser("a/b", "e", "x"), "User id 'a/b' is invalid:"},
		{offline().SendToUser("a\nb", "e", "x"), `User id 'a\nb' is invalid:`},
		{offline().TerminateUserConnections(""), "User id '' is invalid:"},
		{offline().TriggerMulti(hundred, "e", "x"), "You cannot trigger on more than 100 channels at once"},
		{offline().TriggerMulti(nil, "e", "x"), "pusher:"},
		{offline().Trigger("a b", "e", "x"), "At least one of your channels' names are invalid"},
		{offline().Trigger("", "e", "x"), "At least one of your channels' names are invalid"},
		{offline().Trigger(large[:201], "e", "x"), "At least one of your channels' names are invalid"},
		{offline().TriggerMulti([]string{"a", "a b"}, "e", "x"), "At least one of your channels' names are invalid"},
		{keyed("", in32).TriggerMulti([]string{"c", "private-encrypted-c"}, "e", "x"), "You cannot trigger to multiple channels when using encrypted channels:"},
		{offline().Trigger("c", "e", large), "Event payload exceeded maximum size (20481 bytes is too much)"},
		{offline().SendToUser("7", "e", large), "Event payload exceeded maximum size (20481 bytes is too much)"},
		{one(pusher.Event{Channel: "c", Name: "e", Data: large}), "Data of the event #0 in batch, exceeded maximum size (20481 bytes is too much)"},
		{one(pusher.Event{Channel: "a b", Name: "e"}), "The channel named a b has a non-valid name:"},
		{one(pusher.Event{Channel: "private-encrypted-c", Name: "e"}), "No master encryption key supplied:"},
		{one(pusher.Event{Channel: "c", Name: "e", SocketID: pointer("1")}), "socket_id invalid:"},
		{offline().TriggerExclusive("c", "e", "x", "1"), "socket_id invalid:"},
		{offline().Trigger("private-encrypted-c", "e", "x"), "No master encryption key supplied:"},
		{authorized(offline(), encrypted), "No master encryption key supplied:"},
		{authorized(keyed(text31, ""), encrypted), "EncryptionMasterKey must be 32 bytes:"},
		{authorized(keyed(text33, ""), encrypted), "EncryptionMasterKey must be 32 bytes:"},
		{authorized(keyed("", "AAAA"), encrypted), "EncryptionMasterKeyBase64 must encode 32 bytes:"},
		{authorized(keyed("", "A!#="), encrypted), "EncryptionMasterKeyBase64 must be valid base64:"},
		{keyed(text31, "").Trigger("private-encrypted-c", "e", "x"), "EncryptionMasterKey must be 32 bytes:"},
		{keyed("", "AAAA").Trigger("private-encrypted-c", "e", "x"), "EncryptionMasterKeyBase64 must encode 32 bytes:"},
		{keyed("", "A!#=").Trigger("private-encrypted-c", "e", "x"), "EncryptionMasterKeyBase64 must be valid base64:"},
		{authorized(offline(), "socket_id=1.2"), "channel_name not found"},
		{authorized(offline(), "channel_name=private-c"), "socket_id not found"},
		{authorized(offline(), "socket_id=1&channel_name=private-c"), "socket_id invalid:"},
		{signedIn("a=b", map[string]any{"id": "7"}), "socket_id not found"},
		{signedIn("socket_id=1.2", nil), "Missing id in user data"},
		{signedIn("socket_id=1.2", map[string]any{"name": "Ann"}), "Missing id in user data"},
		{signedIn("socket_id=1.2", map[string]any{"id": 7}), "id field in user data is not a string"},
		{signedIn("socket_id=1.2", map[string]any{"id": ""}), "Invalid id in user data: '':"},
	} {
		if is.err == nil {
			t.Errorf("no error: %s", is.text)
		} else if text := is.err.Error(); text != is.text && !(strings.HasSuffix(is.text, ":") && strings.HasPrefix(text, is.text)) {
			t.Errorf("%q, not %q", text, is.text)
		}
	}
	both := keyed(text32, in32)
	if err := both.Trigger("private-encrypted-c", "e", "x"); err == nil || !strings.Contains(err.Error(), "both") {
		t.Error(err)
	}
	if err := keyed(text32, "").Check(); err != nil {
		t.Error(err)
	}
	small := offline()
	small.MaxRequestBytes = 1000
	if err := small.Trigger("c", "e", large[:1000]); err == nil || !strings.Contains(err.Error(), "max_request_bytes") {
		t.Error(err)
	}
	allowed := offline()
	allowed.OverrideMaxMessagePayloadKB = 80
	if err := allowed.Trigger("c", "e", strings.Repeat("a", 80<<10)); err == nil || strings.Contains(err.Error(), "too much") {
		t.Error(err)
	}
	err := allowed.Trigger("c", "e", strings.Repeat("a", 80<<10+1))
	same(t, "the text", err.Error(), "Event payload exceeded maximum size (81921 bytes is too much)")
}

func TestMigrationTextsOfResponses(t *testing.T) {
	for status, wanted := range map[int]string{
		400: "Status Code: 400 - no count here",
		401: "Status Code: 401 (check the key, ",
		403: "Status Code: 403 - no count here (the application ",
		413: "Status Code: 413 - no count here (the event ",
		503: "Status Code: 503 - no count here (an error in the server; the event may have been delivered)",
	} {
		client, _ := asked(t, status, "no count here\nat all")
		list, err := client.TriggerWithParams("c", "e", "x", pusher.TriggerParams{})
		if err == nil || list != nil {
			t.Fatalf("%d: %v, %v", status, list, err)
		}
		text := err.Error()
		if status == 400 && text != wanted || !strings.HasPrefix(text, wanted) || strings.Contains(text, "at all") || strings.Count(text, "no count") > 1 {
			t.Errorf("%d: %q", status, text)
		}
	}
	client, _ := asked(t, 400, "one\x1b[2J\u202etwo")
	if err := client.Trigger("c", "e", "x"); !strings.HasPrefix(err.Error(), `Status Code: 400 - one\x1b[2J\u202etwo`) {
		t.Errorf("%q", err)
	}
}

func TestMigrationTimeouts(t *testing.T) {
	server := listen(t, map[string]any{"fault": "silence-after-request", "times": 0})
	client := server.client(t)
	client.Timeout, client.Retry.Mode = 100e6, "never"
	err := client.Trigger("c", "e", "x")
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%#v", err)
	}
	if !errors.As(offline().Trigger("c", "e", "x"), &timeout) || timeout.Timeout() {
		t.Errorf("%#v", timeout)
	}
}

func TestMigrationClientsOfURLs(t *testing.T) {
	const credentials = "feaf18a411d3cb9216ee:fec81108d90e1898e17a@"
	plain := pusher.Client{Key: "feaf18a411d3cb9216ee", Secret: "fec81108d90e1898e17a", AppID: "104060"}
	for _, is := range []struct {
		url    string
		change func(client *pusher.Client)
	}{
		{"http://" + credentials + "api.pusherapp.com/apps/104060", func(c *pusher.Client) { c.Host, c.Insecure = "api.pusherapp.com", true }},
		{"https://" + credentials + "api-eu.pusher.com/apps/104060", func(c *pusher.Client) { c.Host, c.Secure = "api-eu.pusher.com", true }},
		{"https://" + credentials + "127.0.0.1:6001/apps/104060", func(c *pusher.Client) { c.Host, c.Secure = "127.0.0.1:6001", true }},
		{"http://" + credentials + "127.0.0.1:6001/apps/104060", func(c *pusher.Client) { c.Host, c.Insecure = "127.0.0.1:6001", true }},
		{"http://" + credentials + "api.pusherapp.com:80/apps/104060", func(c *pusher.Client) { c.Host, c.Insecure = "api.pusherapp.com:80", true }},
		{"http://" + credentials + "[::1]:6001/apps/104060", func(c *pusher.Client) { c.Host, c.Insecure = "[::1]:6001", true }},
		{"https://" + credentials + "proxy/soketi/apps/104060", func(c *pusher.Client) { c.Host, c.Path, c.Secure = "proxy", "/soketi", true }},
		{"https://feaf18a411d3cb9216ee:fec81108d90e1898e1%37a@h/apps/104060", func(c *pusher.Client) { c.Host, c.Secure = "h", true }},
	} {
		wanted := plain
		is.change(&wanted)
		t.Setenv("PUSHER_URL", is.url)
		for name, make := range map[string]func(string) (*pusher.Client, error){"ClientFromURL": pusher.ClientFromURL, "ClientFromEnv": pusher.ClientFromEnv} {
			client, err := make(map[string]string{"ClientFromURL": is.url, "ClientFromEnv": "PUSHER_URL"}[name])
			if err != nil || !reflect.DeepEqual(client, &wanted) {
				t.Errorf("%s(%s): %v, %v", name, is.url, client, err)
			}
		}
	}
	for _, wrong := range []string{
		"", "x", "http://" + credentials + "h/apps", "http://key@h/apps/1", "http://h/apps/1", "ftp://" + credentials + "h/apps/1", "https://k:s@h/apps/a b",
	} {
		if client, err := pusher.ClientFromURL(wrong); client != nil || err == nil {
			t.Errorf("%q: %v, %v", wrong, client, err)
		}
	}
	os.Unsetenv("PUSHER_URL")
	for _, name := range []string{"", "PUSHER_URL"} {
		if client, err := pusher.ClientFromEnv(name); client != nil || err == nil {
			t.Errorf("%q: %v, %v", name, client, err)
		}
	}
}

func TestMigrationFormsAreSignedAlike(t *testing.T) {
	// As in the official suite, without an AppID: no path needs it.
	client := pusher.Client{Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8"}
	private := []byte("channel_name=private-foobar&socket_id=1234.1234")
	presence := []byte("channel_name=presence-foobar&socket_id=1234.1234")
	member := pusher.MemberData{UserID: "10", UserInfo: map[string]string{}}
	member.UserInfo["name"] = "Mr. Pusher"
	for wanted, signs := range map[string][]func() ([]byte, error){
		`{"auth":"278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"}`: {
			func() ([]byte, error) { return client.AuthenticatePrivateChannel(private) },
			func() ([]byte, error) { return client.AuthorizePrivateChannel(private) },
		},
		`{"auth":"278d425bdf160c739803:48dac51d2d7569e1e9c0f48c227d4b26f238fa68e5c0bb04222c966909c4f7c4",` +
			`"channel_data":"{\"user_id\":\"10\",\"user_info\":{\"name\":\"Mr. Pusher\"}}"}`: {
			func() ([]byte, error) { return client.AuthenticatePresenceChannel(presence, member) },
			func() ([]byte, error) { return client.AuthorizePresenceChannel(presence, member) },
		},
	} {
		for _, sign := range signs {
			if response, err := sign(); err != nil || string(response) != wanted {
				t.Errorf("%s, %v, not %s", response, err, wanted)
			}
		}
	}
	for _, form := range []string{"hello=hi&two=3", "channel_name=private-foobar&socket_id=12341234"} {
		if response, err := client.AuthenticatePrivateChannel([]byte(form)); response != nil || err == nil {
			t.Errorf("%s: %s, %v", form, response, err)
		}
	}
	other := pusher.Client{AppID: "id", Key: "key", Secret: "secret"}
	response, err := other.AuthenticateUser([]byte("socket_id=12345.12345"), map[string]any{"id": "1234"})
	wanted := `{"auth":"key:e4c63b82c1e1d0955901f6a29ca51b244155bafda93968bc5664010f5ba54a41","user_data":"{\"id\":\"1234\"}"}`
	if err != nil || string(response) != wanted {
		t.Errorf("%s, %v", response, err)
	}
}

func TestMigrationWebhooksThatAreNotAuthentic(t *testing.T) {
	signature := "2677ad3e7c090b2fa2c0fb13020d66d5420879b8316eb356a2d60fb9073bc778"
	for name, header := range map[string]http.Header{
		"a key of another": {"X-Pusher-Key": {"other"}, "X-Pusher-Signature": {signature}},
		"a wrong one":      {"X-Pusher-Key": {"key"}, "X-Pusher-Signature": {signature[1:]}},
		"no signature":     {"X-Pusher-Key": {"key"}},
		"no key":           {},
		"no header":        nil,
	} {
		webhook, err := offline().Webhook(header, []byte(`{"hello":"world"}`))
		if webhook != nil || err == nil || !strings.HasPrefix(err.Error(), "Invalid webhook: ") {
			t.Errorf("%s: %v, %v", name, webhook, err)
		}
	}
}

func TestAnEmptyPrefixIsNone(t *testing.T) {
	client, _ := asked(t, 200, `{"channels":{}}`)
	empty := ""
	if _, err := client.Channels(pusher.ChannelsParams{FilterByPrefix: &empty}); err != nil {
		t.Error(err)
	}
}

// A program may keep clients by value: in a struct, in a map, as a parameter.
func TestClientsAreCopied(t *testing.T) {
	server := healthy(t)
	original := *server.client(t)
	trigger := func(client pusher.Client) error { return client.Trigger("c", "e", "x") }
	if err := trigger(original); err != nil { // a copy from before the first call is a client of its own
		t.Fatal(err)
	}
	if err := original.Trigger("c", "e", "x"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range [16]int{} {
		all.Add(1)
		go func() {
			defer all.Done()
			clients := map[string]pusher.Client{"a": original}
			if err := trigger(clients["a"]); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	connections := map[int]bool{}
	for _, attempt := range server.attempts(t)[1:] {
		connections[attempt.Connection] = true
	}
	if len(connections) > 16 {
		t.Errorf("%d connections", len(connections))
	}
	shared := original
	original.Close()
	if err := shared.Trigger("c", "e", "x"); !errors.Is(err, pusher.StatusInvalidState) {
		t.Errorf("a copy of a client that is closed: %v", err)
	}
}

// Copies and their original begin at the same time.
func TestOneClientIsBegunByManyGoroutines(t *testing.T) {
	server := healthy(t)
	client := server.client(t)
	copies := [8]pusher.Client{}
	for index := range copies {
		copies[index] = *client
	}
	var all sync.WaitGroup
	for index := 0; index < 32; index++ {
		index := index
		all.Add(1)
		go func() {
			defer all.Done()
			of := client
			if index%2 == 1 {
				of = &copies[index/2%8]
			}
			if err := of.Trigger("c", "e", "x"); err != nil {
				t.Error(err)
			}
			_, _ = json.Marshal(*of)
		}()
	}
	all.Wait()
	for index := range copies {
		copies[index].Close()
	}
	if count := len(server.applied(t)); count != 32 {
		t.Errorf("%d events", count)
	}
}

// The race detector reports a first call that copies the client while another one writes to it.
func TestFirstCallsOfOneClientDoNotRace(t *testing.T) {
	for range [300]int{} {
		client := offline()
		begin := make(chan struct{})
		var all sync.WaitGroup
		for range [8]int{} {
			all.Add(1)
			go func() {
				defer all.Done()
				<-begin
				if _, err := client.AuthorizeChannel("private-c", "1.2", nil); err != nil {
					t.Error(err)
				}
			}()
		}
		close(begin)
		all.Wait()
		client.Close()
	}
}

func TestPrintingAClientRevealsNoSecret(t *testing.T) {
	client := pusher.Client{
		AppID: "4711", Key: "the-key", Secret: "the-secret", URL: "https://k:the-secret@h/apps/1", EncryptionMasterKey: "the-secret",
		EncryptionMasterKeyBase64: "the-secret", WebhookTokens: []pusher.WebhookToken{{Key: "k", Secret: "the-secret"}},
		Headers: map[string]string{"X": "the-secret"}, Proxy: "http://u:the-secret@h", Host: "h", Log: func(pusher.LogRecord) {},
	}
	text, err := json.Marshal(map[string]any{"value": client, "pointer": &client})
	if err != nil || !strings.Contains(string(text), `"AppID":"4711"`) {
		t.Errorf("%s, %v", text, err)
	}
	for _, text := range []string{
		string(text), fmt.Sprintf("%v %+v %#v %s", client, client, client, client), fmt.Sprintf("%v %+v %#v %s", &client, &client, &client, &client),
		fmt.Sprintf("%+v", struct{ Client pusher.Client }{client}),
	} {
		if strings.Contains(text, "the-secret") {
			t.Error(text)
		}
	}
}

// A host that speaks plain HTTP is the commonest mistake of who comes from pusher-http-go, where that is the default.
func TestAMessageSaysInsecure(t *testing.T) {
	for name, sender := range map[string]*http.Client{"the library": nil, "net/http": {}} {
		client, _ := asked(t, 200, "{}")
		client.Insecure, client.HTTPClient = false, sender
		err := client.Trigger("c", "e", "x")
		if err == nil || !strings.Contains(err.Error(), "Insecure: true") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
