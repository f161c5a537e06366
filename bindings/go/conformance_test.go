package pusher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// A case of tests/conformance.json, whose first lines say what its members mean, or of tests/answers.json.
type conformanceCase struct {
	Name      string
	Server    map[string]any
	Config    map[string]any
	Call      string
	Arguments map[string]any
	OK        *any     `json:"ok"`
	OKKeys    []string `json:"ok_keys"`
	Error     map[string]any
	Published *[]map[string]any
	Reports   []map[string]any
}

func (c *conformanceCase) UnmarshalJSON(text []byte) error {
	type plain conformanceCase
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode((*plain)(c)); err != nil {
		return err
	}
	// "ok":null is a result too.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	if _, given := members["ok"]; given && c.OK == nil {
		c.OK = new(any)
	}
	c.Arguments, _ = expanded(c.Arguments).(map[string]any)
	return nil
}

// expanded returns the value with each {"repeat", "times"} in it as the string it is short for.
func expanded(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = expanded(value[i])
		}
	case map[string]any:
		repeat, isString := value["repeat"].(string)
		times, isNumber := value["times"].(json.Number)
		if len(value) == 2 && isString && isNumber {
			count, _ := times.Int64()
			return strings.Repeat(repeat, int(count))
		}
		for name := range value {
			value[name] = expanded(value[name])
		}
	}
	return value
}

func conformanceCases(t *testing.T, files ...string) []conformanceCase {
	t.Helper()
	cases := []conformanceCase{}
	for _, name := range files {
		text, err := os.ReadFile("../../tests/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []conformanceCase }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Cases) < 100 {
			t.Fatalf("only %d cases of %s", len(file.Cases), name)
		}
		cases = append(cases, file.Cases...)
	}
	return cases
}

func TestEveryCaseOfTheConformanceFile(t *testing.T) {
	for _, c := range conformanceCases(t, "conformance", "answers") {
		c := c
		t.Run(c.Name, func(t *testing.T) { c.run(t, nil) })
	}
}

// With net/http each call is one attempt, as with "retry":{"mode":"never"}.
func TestTheConformanceFileOverNetHTTP(t *testing.T) {
	ran := 0
	for _, c := range conformanceCases(t, "conformance") {
		c := c
		retry, _ := c.Config["retry"].(map[string]any)
		fault, _ := c.Server["fault"].(string)
		switch {
		case c.Call == "publish" || c.Call == "new" || strings.HasPrefix(c.Call, "authenticate") || c.Call == "validate_webhook":
			continue
		case fault != "none" && retry["mode"] != "never", c.Server["tls"] == true, c.Error["attempts"] != nil:
			continue
		}
		ran++
		t.Run(c.Name, func(t *testing.T) {
			transport := http.DefaultTransport.(*http.Transport).Clone()
			defer transport.CloseIdleConnections()
			c.run(t, &http.Client{Transport: transport})
		})
	}
	if ran < 50 {
		t.Fatalf("only %d cases", ran)
	}
}

func (c *conformanceCase) run(t *testing.T, sender *http.Client) {
	server := unreachable
	client := &pusher.Client{AppID: "4711", Key: faults.Key, Secret: faults.Secret, Host: "127.0.0.1", Insecure: true, Extra: c.Config}
	client.HTTPClient = sender
	if c.Server != nil {
		server = listen(t, c.Server)
		if c.Server["tls"] == true {
			client.Host, client.Insecure, client.CAFile = "localhost", false, faults.CA
		}
	}
	client.Port = server.Port
	defer client.Close()

	result, reports, err := c.call(t, client)
	if c.Error != nil {
		c.holdsError(t, err)
	} else if err != nil {
		t.Fatalf("failed: %v", err)
	}
	if c.OK != nil && result != nil {
		same(t, "the result", plain(t, result), plain(t, *c.OK))
	}
	if c.OKKeys != nil {
		keys := []string{}
		for key := range plain(t, result).(map[string]any) {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		sort.Strings(c.OKKeys)
		same(t, "the result's keys", keys, c.OKKeys)
	}
	if c.Published != nil {
		c.holdsLedger(t, server.applied(t))
	}
	if c.Reports != nil {
		c.holdsReports(t, reports)
	}
}

// holdsError compares an error and its document with the expected ones.
func (c *conformanceCase) holdsError(t *testing.T, err error) {
	t.Helper()
	var failed *pusher.Error
	if !errors.As(err, &failed) {
		t.Fatalf("wanted %v, got %v", c.Error, err)
	}
	var document struct{ Error map[string]any }
	if err := json.Unmarshal(failed.Document, &document); err != nil {
		t.Fatalf("%v: %s", err, failed.Document)
	}
	for member, wanted := range c.Error {
		got, has := document.Error[member]
		if wanted == nil && has || wanted != nil && !reflect.DeepEqual(plain(t, got), plain(t, wanted)) {
			t.Errorf("%s is %v, not %v, in %s", member, got, wanted, failed.Document)
		}
	}
	sameText(t, document.Error["status"], failed.Status.String())
	sameText(t, document.Error["delivery"], failed.Delivery.String())
	sameText(t, document.Error["argument"], failed.Argument)
	sameText(t, document.Error["cause"], failed.Cause)
	if !errors.Is(err, failed.Status) {
		t.Errorf("%v is not %v", err, failed.Status)
	}
}

func sameText(t *testing.T, member any, text string) {
	t.Helper()
	if given, _ := member.(string); given != text {
		t.Errorf("%q in Go is %q in the document", text, given)
	}
}

func (c *conformanceCase) holdsLedger(t *testing.T, applied []map[string]any) {
	t.Helper()
	wanted := *c.Published
	if len(applied) != len(wanted) {
		t.Fatalf("published %v, not %v", applied, wanted)
	}
	for index, event := range wanted {
		for member, value := range event {
			if member != "encrypted" {
				same(t, member, applied[index][member], value)
				continue
			}
			// Go's standard library has no secretbox: check only the shape.
			var box struct{ Nonce, Ciphertext []byte }
			text, _ := applied[index]["data"].(string)
			if err := json.Unmarshal([]byte(text), &box); err != nil || len(box.Nonce) != 24 || len(box.Ciphertext) < 16 {
				t.Errorf("is not encrypted: %s", text)
			}
		}
		if event["socket_id"] == nil && applied[index]["socket_id"] != nil {
			t.Errorf("left out %v", applied[index]["socket_id"])
		}
	}
}

func (c *conformanceCase) holdsReports(t *testing.T, reports []pusher.Report) {
	t.Helper()
	if len(reports) != len(c.Reports) {
		t.Fatalf("%d reports, not %d: %v", len(reports), len(c.Reports), reports)
	}
	sort.Slice(reports, func(a, b int) bool { return reports[a].ID < reports[b].ID })
	for index, wanted := range c.Reports {
		got := map[string]any{"status": reports[index].Status.String(), "delivery": reports[index].Delivery.String()}
		if failed := reports[index].Err; failed != nil {
			if err := json.Unmarshal(failed.Document, &got); err != nil {
				t.Fatal(err)
			}
		} else if reports[index].Answer != nil {
			got["answer"] = reports[index].Answer
		}
		for member, value := range wanted {
			if value == nil && got[member] == nil {
				continue
			}
			same(t, "report "+member, plain(t, got[member]), plain(t, value))
		}
	}
}

func (c *conformanceCase) text(name string) string {
	text, _ := c.Arguments[name].(string)
	return text
}

func (c *conformanceCase) optional(name string) *string {
	switch value := c.Arguments[name].(type) {
	case string:
		return &value
	case []any:
		joined := strings.Join(texts(value), ",")
		return &joined
	}
	return nil
}

func (c *conformanceCase) object(name string) map[string]any {
	object, _ := c.Arguments[name].(map[string]any)
	return object
}

func texts(values []any) []string {
	list := make([]string, len(values))
	for index, value := range values {
		list[index] = value.(string)
	}
	return list
}

func channels(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		return texts(value)
	}
	return nil
}

// take removes a string member and returns it. The remaining members have no field of their own.
func take(object map[string]any, name string) *string {
	text, is := object[name].(string)
	if !is {
		return nil
	}
	delete(object, name)
	return &text
}

func (c *conformanceCase) params(response *json.RawMessage) pusher.TriggerOptions {
	rest := c.object("options")
	return pusher.TriggerOptions{
		SocketID: take(rest, "socket_id"), Info: take(rest, "info"), IdempotencyKey: key(rest), Response: response, Extra: rest,
	}
}

// key takes an idempotency key from options.
func key(options map[string]any) string {
	if key := take(options, "idempotency_key"); key != nil {
		return *key
	}
	return ""
}

// call makes the call with native values.
func (c *conformanceCase) call(t *testing.T, client *pusher.Client) (result any, reports []pusher.Report, err error) {
	ctx := context.Background()
	if _, events := map[string]bool{"trigger": true, "trigger_batch": true, "send_to_user": true}[c.Call]; !events {
		for option, value := range c.object("options") {
			ms, isNumber := value.(json.Number)
			if option != "timeout_ms" || !isNumber {
				t.Fatalf("Go has no option %s of %s", option, c.Call)
			}
			number, _ := ms.Int64()
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(number)*time.Millisecond)
			defer cancel()
		}
	}
	switch c.Call {
	case "new":
		if url, given := c.Arguments["config"].(string); given {
			_, err = pusher.ClientFromURL(url)
			return nil, nil, err
		}
		return nil, nil, client.Check()
	case "trigger":
		var response json.RawMessage
		_, err := client.TriggerContext(ctx, channels(c.Arguments["channels"]), c.text("event"), c.Arguments["data"], c.params(&response))
		return response, nil, err
	case "trigger_batch":
		batch := []pusher.BatchEvent{}
		for _, given := range c.Arguments["events"].([]any) {
			event := given.(map[string]any)
			plain := pusher.Event{Data: event["data"], SocketID: take(event, "socket_id"), Info: take(event, "info")}
			batch = append(batch, pusher.BatchEvent{Event: plain})
			last := &batch[len(batch)-1]
			last.Channel, _ = event["channel"].(string)
			last.Name, _ = event["name"].(string)
		}
		rest := c.object("options")
		var response json.RawMessage
		_, err := client.TriggerBatchWithParams(ctx, batch, pusher.TriggerBatchParams{IdempotencyKey: key(rest), Response: &response, Extra: rest})
		return response, nil, err
	case "send_to_user":
		var response json.RawMessage
		_, err := client.SendToUserContext(ctx, c.text("user_id"), c.text("event"), c.Arguments["data"], c.params(&response))
		return response, nil, err
	case "terminate_user_connections":
		return nil, nil, client.TerminateUserConnectionsContext(ctx, c.text("user_id"))
	case "channels_info":
		list, err := client.ChannelsContext(ctx, pusher.ChannelsParams{FilterByPrefix: c.optional("prefix_filter"), Info: c.optional("attributes")})
		if err != nil {
			return c.raw(client, "/channels", err)
		}
		return list.Response, nil, nil
	case "channel_info":
		channel, err := client.ChannelContext(ctx, c.text("channel"), pusher.ChannelParams{Info: c.optional("attributes")})
		if err != nil {
			return c.raw(client, "/channels/"+c.text("channel"), err)
		}
		return channel.Response, nil, nil
	case "users_info":
		users, err := client.GetChannelUsersContext(ctx, c.text("channel"))
		if err != nil {
			return c.raw(client, "/channels/"+c.text("channel")+"/users", err)
		}
		return users.Response, nil, nil
	case "get":
		document, err := client.GetContext(ctx, c.text("path"), c.object("params"))
		return document, nil, err
	case "post":
		document, err := client.PostContext(ctx, c.text("path"), c.object("params"), c.Arguments["body"])
		return document, nil, err
	case "delete":
		document, err := client.DeleteContext(ctx, c.text("path"), c.object("params"))
		return document, nil, err
	case "authenticate":
		document, err := client.AuthorizeChannel(c.text("channel"), c.text("socket_id"), c.Arguments["channel_data"])
		if err == nil && c.Arguments["channel_data"] == nil {
			form := url.Values{"channel_name": {c.text("channel")}, "socket_id": {c.text("socket_id")}}
			again, err := client.AuthorizePrivateChannel([]byte(form.Encode()))
			if err != nil || !bytes.Equal(again, document) {
				t.Errorf("of a form: %s, %v", again, err)
			}
		}
		return json.RawMessage(document), nil, err
	case "authenticate_channels":
		subscriptions := []pusher.Subscription{}
		for _, given := range c.Arguments["channels"].([]any) {
			switch given := given.(type) {
			case string:
				subscriptions = append(subscriptions, pusher.Subscription{Channel: given})
			case map[string]any:
				subscriptions = append(subscriptions, pusher.Subscription{Channel: given["channel"].(string), ChannelData: given["channel_data"]})
			}
		}
		document, err := client.AuthorizeChannels(c.text("socket_id"), subscriptions)
		return json.RawMessage(document), nil, err
	case "authenticate_user":
		form := url.Values{"socket_id": {c.text("socket_id")}}
		if data, is := c.Arguments["user_data"].(map[string]any); is {
			document, err := client.AuthenticateUser([]byte(form.Encode()), data)
			return json.RawMessage(document), nil, err
		}
		document, err := client.AuthenticateUserSocket(c.text("socket_id"), c.Arguments["user_data"])
		return json.RawMessage(document), nil, err
	case "validate_webhook":
		header := http.Header{}
		for argument, name := range map[string]string{"key": "X-Pusher-Key", "signature": "X-Pusher-Signature"} {
			if value := c.optional(argument); value != nil {
				header.Set(name, *value)
			}
		}
		// A struct that would lose a value is an error of the same status.
		if webhook, err := client.Webhook(header, []byte(c.text("body"))); err != nil && !errors.Is(err, pusher.StatusWebhookInvalid) {
			return nil, nil, err
		} else if (webhook == nil) == (err == nil) {
			t.Errorf("%v, %v", webhook, err)
		}
		document, err := client.WebhookDocument(header, []byte(c.text("body")))
		return document, nil, err
	case "publish":
		return c.publish(t, client)
	}
	t.Fatalf("Go has no call %s", c.Call)
	return nil, nil, nil
}

// raw returns what Get returns of a path, if the struct of the query would lose a value of the response.
func (c *conformanceCase) raw(client *pusher.Client, path string, err error) (any, []pusher.Report, error) {
	if !errors.Is(err, pusher.StatusBadResponse) || c.OK == nil {
		return nil, nil, err
	}
	document, err := client.Get(path, nil)
	return document, nil, err
}

func (c *conformanceCase) publish(t *testing.T, client *pusher.Client) (result any, reports []pusher.Report, err error) {
	publisher, err := client.NewPublisher(pusher.PublisherConfig{Reports: "all", Extra: c.object("publisher")})
	if err != nil {
		return nil, nil, err
	}
	defer publisher.Close()
	queued := 0
	for _, given := range c.Arguments["events"].([]any) {
		event := given.(map[string]any)
		rest, _ := event["options"].(map[string]any)
		params := pusher.PublishParams{SocketID: take(rest, "socket_id"), Info: take(rest, "info"), IdempotencyKey: key(rest), Extra: rest}
		if user := take(rest, "user_id"); user != nil {
			params.UserID = *user
		}
		name, _ := event["event"].(string)
		if _, err := publisher.PublishWithParams(channels(event["channels"]), name, event["data"], params); err != nil {
			return nil, nil, err
		}
		queued++
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := publisher.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel() // take the waiting reports without waiting
	for {
		fetched, err := publisher.Poll(done)
		if errors.Is(err, pusher.StatusTimedOut) {
			return queued, reports, nil
		}
		if err != nil {
			t.Fatalf("poll: %v", err)
		}
		reports = append(reports, fetched.List...)
	}
}

// plain returns a value as encoding/json decodes it, for comparison.
func plain(t *testing.T, value any) any {
	t.Helper()
	text, is := value.(json.RawMessage)
	if !is {
		written, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		text = written
	}
	var read any
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return read
}

func same(t *testing.T, what string, got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: %s, not %s", what, show(got), show(wanted))
	}
}

func show(value any) string {
	text := fmt.Sprintf("%#v", value)
	if len(text) > 400 {
		text = text[:400] + "…"
	}
	return text
}
