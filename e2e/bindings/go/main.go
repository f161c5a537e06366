// The Go program for bindings.test.mjs, which describes the protocol of these programs.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

type job struct {
	Call      string
	Channels  []string
	Channel   string
	Event     string
	Data      json.RawMessage
	Events    []pusher.Event
	Count     int
	Prefix    string
	UserID    string `json:"user_id"`
	SocketID  string `json:"socket_id"`
	Key       string
	Signature string
	Body      string
}

// publish publishes 0, 1, 2… through a publisher, and returns the reports.
func publish(client *pusher.Client, j job) (json.RawMessage, error) {
	publisher, err := client.NewPublisher(pusher.PublisherConfig{Reports: "all"})
	if err != nil {
		return nil, err
	}
	defer publisher.Close()
	for i := 0; i < j.Count; i++ {
		if _, err := publisher.Publish(j.Channel, j.Event, i); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := publisher.Shutdown(ctx); err != nil {
		return nil, err
	}
	reports, err := publisher.Poll(ctx)
	if err != nil {
		return nil, err
	}
	return reports.Document, nil
}

func perform(client *pusher.Client, j job) (any, error) {
	switch j.Call {
	case "trigger":
		return nil, client.TriggerMulti(j.Channels, j.Event, j.Data)
	case "trigger_batch":
		_, err := client.TriggerBatch(j.Events)
		return nil, err
	case "publish":
		return publish(client, j)
	case "send_to_user":
		return nil, client.SendToUser(j.UserID, j.Event, j.Data)
	case "terminate_user_connections":
		return nil, client.TerminateUserConnections(j.UserID)
	case "channels_info":
		return client.Channels(pusher.ChannelsParams{FilterByPrefix: &j.Prefix})
	case "users_info":
		return client.GetChannelUsers(j.Channel)
	case "authenticate":
		var data any
		if j.Data != nil {
			data = j.Data
		}
		response, err := client.AuthorizeChannel(j.Channel, j.SocketID, data)
		return json.RawMessage(response), err
	case "authenticate_channels":
		var subscriptions []pusher.Subscription
		for _, channel := range j.Channels {
			subscriptions = append(subscriptions, pusher.Subscription{Channel: channel})
		}
		response, err := client.AuthorizeChannels(j.SocketID, subscriptions)
		return json.RawMessage(response), err
	case "authenticate_user":
		response, err := client.AuthenticateUserSocket(j.SocketID, j.Data)
		return json.RawMessage(response), err
	case "validate_webhook":
		header := http.Header{"X-Pusher-Key": {j.Key}, "X-Pusher-Signature": {j.Signature}}
		return client.Webhook(header, []byte(j.Body))
	}
	return nil, fmt.Errorf("no such call: %s", j.Call)
}

func main() {
	client := &pusher.Client{URL: os.Getenv("PUSHER_URL"), EncryptionMasterKeyBase64: os.Getenv("MASTER_KEY")}
	defer client.Close()
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var j job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			log.Fatal(err)
		}
		result, err := perform(client, j)
		answer := map[string]any{"ok": result}
		var failed *pusher.Error
		if errors.As(err, &failed) {
			answer = map[string]any{"error": failed.Status.String()}
		} else if err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}
