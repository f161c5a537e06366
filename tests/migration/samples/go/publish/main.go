// Publishes in all the ways of the official SDK, and asks the server what it knows.
package main

import (
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/pusher/pusher-http-go/v5"
)

type sale struct {
	Article int     `json:"article"`
	Price   float64 `json:"price"`
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// A shop keeps its client by value.
type shop struct {
	client pusher.Client
	name   string
}

func (s shop) sell(article int) error {
	return s.client.Trigger(s.name, "sold", sale{article, 2.5})
}

func names(client pusher.Client, params pusher.ChannelsParams) string {
	list, err := client.Channels(params)
	check(err)
	found := []string{}
	for name, channel := range list.Channels {
		found = append(found, fmt.Sprintf("%s:%d", name, channel.UserCount))
	}
	sort.Strings(found)
	return strings.Join(found, " ")
}

func main() {
	client := pusher.Client{
		AppID:                     os.Getenv("APP_ID"),
		Key:                       os.Getenv("KEY"),
		Secret:                    os.Getenv("SECRET"),
		Host:                      os.Getenv("HOST"),
		EncryptionMasterKeyBase64: "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
	}
	client.Secure = true

	// One channel, several channels, a user; and without the connection that caused the event.
	check(client.Trigger("shop", "opened", map[string]string{"by": "Zoe"}))
	check(client.Trigger("shop", "stock", []byte(`{"apples":12}`)))
	check(client.TriggerMulti([]string{"shop", "news"}, "closed", "see you tomorrow"))
	check(client.SendToUser("user-7", "bill", sale{7, 12.5}))
	check(client.TriggerExclusive("shop", "sold", sale{8, 1}, "1234.5678"))
	check(client.TriggerMultiExclusive([]string{"shop", "news"}, "sold", sale{9, 1}, "1234.5678"))
	check(shop{client, "shop"}.sell(10))

	// What the server knows about the channels.
	socketID, attributes := "1234.5678", "subscription_count"
	channels, err := client.TriggerWithParams("shop", "counted", nil, pusher.TriggerParams{SocketID: &socketID, Info: &attributes})
	check(err)
	fmt.Println("counted:", len(channels.Channels))
	channels, err = client.TriggerMultiWithParams([]string{"shop", "news"}, "counted", 2, pusher.TriggerParams{Info: &attributes})
	check(err)
	fmt.Println("counted:", len(channels.Channels))

	// Batches.
	batch := []pusher.Event{
		{Channel: "shop", Name: "sold", Data: sale{11, 3}},
		{Channel: "news", Name: "sold", Data: "article 11", SocketID: &socketID, Info: &attributes},
	}
	response, err := client.TriggerBatch(batch)
	check(err)
	for index, attributes := range response.Batch {
		fmt.Println("batch:", batch[index].Channel, attributes.SubscriptionCount != nil)
	}

	// Encrypted from end to end.
	check(client.Trigger("private-encrypted-safe", "code", 4711))

	// A client of a URL, and an HTTP client of the program's own.
	other, err := pusher.ClientFromEnv("SHOP_URL")
	check(err)
	other.HTTPClient = &http.Client{Timeout: 3 * time.Second}
	check(other.Trigger("shop", "by-net-http", "hello"))
	fmt.Println("the same application:", other.AppID == client.AppID && other.Key == client.Key && other.Secret == client.Secret)

	// Questions.
	channel, err := client.Channel("shop", pusher.ChannelParams{Info: &attributes})
	check(err)
	fmt.Println("channel:", channel.Name, channel.Occupied)
	prefix, users := "presence-", "user_count"
	fmt.Println("all:", names(client, pusher.ChannelsParams{}))
	fmt.Println("some:", names(client, pusher.ChannelsParams{FilterByPrefix: &prefix, Info: &users}))
	members, err := client.GetChannelUsers("presence-staff")
	check(err)
	fmt.Printf("users: %+v\n", members.List)

	// What goes wrong.
	fmt.Println(client.Trigger("not a channel", "event", nil))
	fmt.Println(client.Trigger("shop", "large", strings.Repeat("x", 20481)))
	if broken, err := pusher.ClientFromURL("https://key@example.org/apps/1"); broken == nil {
		fmt.Println("no client:", err != nil)
	}
}
