// Package pusher is the server side of Pusher Channels for Go, on libpusher: it triggers events, asks for the state of channels, authorizes
// subscriptions and validates webhooks. Types and methods have the names and shapes of github.com/pusher/pusher-http-go/v5.
//
//	client := pusher.Client{AppID: "APP_ID", Key: "KEY", Secret: "SECRET", Cluster: "eu"}
//	err := client.Trigger("my-channel", "my-event", map[string]string{"hello": "world"})
//
// What fails is an *Error, which says what happened to the event:
//
//	var failed *pusher.Error
//	if errors.As(err, &failed) && failed.Delivery == pusher.DeliveryUnknown { … }
//	if errors.Is(err, pusher.StatusRateLimited) { … }
//
// Any number of goroutines may use one Client or Publisher. It needs cgo, and libpusher where the system finds it.
package pusher
