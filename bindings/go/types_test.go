package pusher_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// A value of each JSON type, also as PHP, Ruby or JavaScript servers write what Pusher writes otherwise.
var jsonTypes = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `1.5`, `1e400`, `123456789012345678901234567890`, `""`, `"7"`, `"text"`, `"\ud800"`,
	`[]`, `[1]`, `[{}]`, `[null]`, `[[]]`, `{}`, `{"a":1}`, `{"a":{"b":[null]}}`, `{"":""}`,
}

// places are the members of the answers of a call, with %s for a value.
var placesOfQueries = map[string][]string{
	"channels": {`%s`, `{"channels":%s}`, `{"channels":{"c":%s}}`, `{"channels":{"c":{"user_count":%s}}}`, `{"channels":{"c":{"other":%s}},"other":%s}`},
	"channel":  {`%s`, `{"occupied":%s}`, `{"user_count":%s}`, `{"subscription_count":%s}`, `{"cache":%s}`, `{"cache":{"data":%s}}`, `{"cache":{"ttl":%s}}`, `{"other":%s}`, `{"name":%s}`},
	"users":    {`%s`, `{"users":%s}`, `{"users":[%s]}`, `{"users":[{"id":%s}]}`, `{"users":[{"id":"7","other":%s}]}`},
}

var ctx = context.Background()

func filled(place, value string) string { return strings.ReplaceAll(place, "%s", value) }

// A query is answered as its struct says, or by an error that says so: never by a part without an error.
func TestEveryJSONTypeInTheAnswersOfQueries(t *testing.T) {
	if os.Getenv("FAULTS") == "few" {
		t.Skip("FAULTS=few")
	}
	queries := map[string]func(*pusher.Client) (any, error){
		"channels": func(client *pusher.Client) (any, error) { return client.Channels(pusher.ChannelsParams{}) },
		"channel":  func(client *pusher.Client) (any, error) { return client.Channel("c", pusher.ChannelParams{}) },
		"users":    func(client *pusher.Client) (any, error) { return client.GetChannelUsers("presence-c") },
	}
	read, refused := 0, 0
	for query, call := range queries {
		for _, place := range placesOfQueries[query] {
			for _, value := range jsonTypes {
				answer := filled(place, value)
				client, _ := asked(t, 200, answer)
				result, err := call(client)
				client.Close()
				var failed *pusher.Error
				switch {
				case err == nil:
					read++
					holds(t, query, answer, result)
				case errors.As(err, &failed) && failed.Status == pusher.StatusBadResponse && failed.Delivery == pusher.DeliveryNone:
					refused++
				default:
					t.Errorf("%s, %s: %#v", query, answer, err)
				}
			}
		}
	}
	if read < 100 || refused < 100 {
		t.Errorf("%d read, %d refused", read, refused)
	}
}

// holds checks that a result has each member of the answer that it has a field for. A null is a missing member.
func holds(t *testing.T, query, answer string, result any) {
	t.Helper()
	var wanted, got any
	text, _ := json.Marshal(result)
	for text, into := range map[string]*any{answer: &wanted, string(text): &got} {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	if query == "channel" {
		delete(got.(map[string]any), "Name")
	}
	known := map[string]bool{"channels": true, "c": true, "user_count": true, "occupied": true, "subscription_count": true, "users": true, "id": true}
	if difference := missing(known, wanted, got); difference != "" {
		t.Errorf("%s, %s: %s is not in %s", query, answer, difference, text)
	}
}

func missing(known map[string]bool, wanted, got any) string {
	switch wanted := wanted.(type) {
	case nil:
		return ""
	case map[string]any:
		for name, value := range wanted {
			object, _ := got.(map[string]any)
			if known[name] {
				if difference := missing(known, value, object[name]); difference != "" {
					return difference
				}
			}
		}
		return ""
	case []any:
		list, _ := got.([]any)
		for index, value := range wanted {
			if index >= len(list) {
				return fmt.Sprint(value)
			}
			if difference := missing(known, value, list[index]); difference != "" {
				return difference
			}
		}
		return ""
	case bool, json.Number:
		if zero := fmt.Sprint(wanted); got == nil && (zero == "0" || zero == "false") {
			return "" // omitted
		}
	}
	if fmt.Sprint(wanted) != fmt.Sprint(got) {
		return fmt.Sprint(wanted)
	}
	return ""
}

// An event that was published is never reported as an error, because a program could send it again. Response has what the list cannot hold.
func TestEveryJSONTypeInTheAnswersOfEvents(t *testing.T) {
	if os.Getenv("FAULTS") == "few" {
		t.Skip("FAULTS=few")
	}
	info := "user_count"
	calls := map[string]func(*pusher.Client, *json.RawMessage) error{
		"trigger": func(client *pusher.Client, response *json.RawMessage) error {
			if err := client.Trigger("c", "e", "x"); err != nil {
				return err
			}
			_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{Info: &info, Response: response})
			return err
		},
		"batch": func(client *pusher.Client, response *json.RawMessage) error {
			batch := []pusher.BatchEvent{{Event: pusher.Event{Channel: "c", Name: "e", Info: &info}}}
			_, err := client.TriggerBatchWithParams(ctx, batch, pusher.TriggerBatchParams{Response: response})
			return err
		},
		"user": func(client *pusher.Client, response *json.RawMessage) error {
			_, err := client.SendToUserContext(ctx, "7", "e", "x", pusher.TriggerOptions{Response: response})
			return err
		},
		"terminate": func(client *pusher.Client, _ *json.RawMessage) error { return client.TerminateUserConnections("7") },
		"post": func(client *pusher.Client, response *json.RawMessage) (err error) {
			*response, err = client.Post("/x", nil, nil)
			return err
		},
	}
	places := []string{`%s`, `{"channels":%s}`, `{"channels":{"c":%s}}`, `{"channels":{"c":{"user_count":%s}}}`, `{"batch":%s}`, `{"batch":[%s]}`, `{"batch":[{"subscription_count":%s}]}`, `{"other":%s}`}
	for call, makes := range calls {
		for _, place := range places {
			for _, value := range jsonTypes {
				answer := filled(place, value)
				client, _ := asked(t, 200, answer)
				var response json.RawMessage
				err := makes(client, &response)
				client.Close()
				if err != nil {
					t.Errorf("%s, %s: %v", call, answer, err)
				} else if call != "terminate" && string(response) != answer {
					t.Errorf("%s, %s: %s", call, answer, response)
				}
			}
		}
	}
}

func webhookOf(body string) (*pusher.Webhook, json.RawMessage, error) {
	client := &pusher.Client{AppID: "1", Key: "k", Secret: "s", WebhookMaxAge: -1}
	defer client.Close()
	code := hmac.New(sha256.New, []byte("s"))
	code.Write([]byte(body))
	header := http.Header{"X-Pusher-Key": {"k"}, "X-Pusher-Signature": {hex.EncodeToString(code.Sum(nil))}}
	document, err := client.WebhookDocument(header, []byte(body))
	if err != nil {
		return nil, nil, err
	}
	webhook, err := client.Webhook(header, []byte(body))
	return webhook, document, err
}

func TestEveryJSONTypeInAWebhook(t *testing.T) {
	places := []string{`{"time_ms":%s}`, `{"events":%s}`, `{"events":[%s]}`, `{"events":[{"other":%s}],"other":%s}`}
	for _, member := range []string{"name", "channel", "event", "data", "socket_id", "user_id", "subscription_count", "decryption_error"} {
		places = append(places, `{"events":[{"name":"n"},{"`+member+`":%s}]}`)
	}
	read, refused := 0, 0
	for _, place := range places {
		for _, value := range jsonTypes {
			body := filled(place, value)
			webhook, document, err := webhookOf(body)
			var failed *pusher.Error
			switch {
			case err == nil:
				read++
				if value != "null" && value != `""` && value != "0" && value != "[]" && !strings.Contains(place, "other") && !held(webhook, place, value) {
					t.Errorf("%s: %+v", body, webhook)
				}
			case errors.As(err, &failed) && failed.Status == pusher.StatusWebhookInvalid && string(document) == body:
				if !strings.Contains(place, failed.Argument[strings.LastIndex(failed.Argument, ".")+1:][:3]) {
					t.Errorf("%s: %s", body, failed.Argument)
				}
				refused++
			default:
				t.Errorf("%s: %v", body, err)
			}
		}
	}
	if read < 80 || refused < 80 {
		t.Errorf("%d read, %d refused", read, refused)
	}
	for _, body := range jsonTypes {
		if webhook, _, err := webhookOf(body); err == nil && body[0] != '{' {
			t.Errorf("%s: %v", body, webhook)
		}
	}
}

// held reports whether a field has the value of the place.
func held(webhook *pusher.Webhook, place, value string) bool {
	if strings.Contains(place, "time_ms") {
		return fmt.Sprint(webhook.TimeMs) == strings.Trim(value, `"`)
	}
	if strings.Contains(place, `{"events":%s}`) || strings.Contains(place, `{"events":[%s]}`) {
		return len(webhook.Events) == 1
	}
	event := webhook.Events[1]
	texts := []string{event.Name, event.Channel, event.Event, event.Data, event.SocketID, event.UserID, event.DecryptionError, fmt.Sprint(event.SubscriptionCount)}
	var text string
	_ = json.Unmarshal([]byte(value), &text)
	for _, got := range texts {
		if got == value || text != "" && got == text {
			return true
		}
	}
	return false
}

func TestWebhooksOfServersWithOtherTypes(t *testing.T) {
	webhook, _, err := webhookOf(`{"time_ms":"17","events":[{"name":"member_added","user_id":7},{"name":"client_event","data":{"a":[1]},"socket_id":1.20}]}`)
	if err != nil || webhook.TimeMs != 17 || webhook.Events[0].UserID != "7" || webhook.Events[1].Data != `{"a":[1]}` || webhook.Events[1].SocketID != "1.20" {
		t.Errorf("%+v, %v", webhook, err)
	}
	if webhook, _, err = webhookOf(`{"time_ms":17}`); err != nil || webhook.Events != nil {
		t.Errorf("%+v, %v", webhook, err)
	}
}
