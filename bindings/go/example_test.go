package pusher_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

func Example() {
	client := pusher.Client{AppID: "APP_ID", Key: "KEY", Secret: "SECRET", Cluster: "eu"}
	client.Host, client.Insecure = "127.0.0.1:1", true // nothing listens there: omit this line
	defer client.Close()

	err := client.Trigger("my-channel", "my-event", map[string]string{"hello": "world"})

	var failed *pusher.Error
	switch {
	case err == nil:
		fmt.Println("delivered")
	case errors.Is(err, pusher.StatusRateLimited):
		fmt.Println("later")
	case errors.As(err, &failed):
		fmt.Println(failed.Delivery, "because of", failed.Cause)
	}
	// Output: not_sent because of connect
}

func ExampleClient_AuthorizePresenceChannel() {
	client := pusher.Client{AppID: "APP_ID", Key: "KEY", Secret: "SECRET"}
	body := []byte("socket_id=1234.5678&channel_name=presence-room") // what pusher-js posts
	response, err := client.AuthorizePresenceChannel(body, pusher.MemberData{
		UserID:   "7",
		UserInfo: map[string]string{"name": "Ann"},
	})
	if err != nil {
		panic(err) // respond with 403
	}
	fmt.Println(string(response))
	// Output: {"auth":"KEY:7a7f2156739e60ca379d842b8ff704be5759bc09076e30af0d6dab7f44c7b972","channel_data":"{\"user_id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}"}
}

func ExamplePublisher() {
	client := pusher.Client{AppID: "APP_ID", Key: "KEY", Secret: "SECRET", Retry: pusher.Retry{Mode: "never"}}
	client.Host, client.Insecure = "127.0.0.1:1", true // nothing listens there: omit this line
	defer client.Close()

	publisher, err := client.NewPublisher(pusher.PublisherConfig{Connections: 4, Overflow: "drop_oldest"})
	if err != nil {
		panic(err)
	}
	defer publisher.Close()
	if _, err := publisher.Publish("my-channel", "my-event", "hello"); err != nil { // returns at once
		panic(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = publisher.Shutdown(ctx)
	for {
		reports, err := publisher.Poll(ctx)
		if err != nil {
			break // StatusClosed: there are no more reports
		}
		for _, report := range reports.List {
			fmt.Println("event", report.ID, report.Delivery)
		}
	}
	// Output: event 1 not_sent
}
