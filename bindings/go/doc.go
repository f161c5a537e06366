// Package pusher is the server SDK of Pusher Channels for Go, on libpusher: it triggers events, queries channels, authorizes subscriptions and
// validates webhooks. Types and methods have the names and shapes of github.com/pusher/pusher-http-go/v5.
//
//	client := pusher.Client{AppID: "APP_ID", Key: "KEY", Secret: "SECRET", Cluster: "eu"}
//	err := client.Trigger("my-channel", "my-event", map[string]string{"hello": "world"})
//
// Every error is an *Error, which says what happened to the event:
//
//	var failed *pusher.Error
//	if errors.As(err, &failed) && failed.Delivery == pusher.DeliveryUnknown { … }
//	if errors.Is(err, pusher.StatusRateLimited) { … }
//
// Any number of goroutines may use one Client or Publisher. The package needs cgo and an installed libpusher.
package pusher
