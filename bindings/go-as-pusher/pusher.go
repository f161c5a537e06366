// Package pusher has the names of pusher-http-go 5.1 for libpusher, under its module path: for programs whose imports cannot be changed. Its types are
// those of github.com/libpusher/libpusher/bindings/go, which has more.
package pusher

import libpusher "github.com/libpusher/libpusher/bindings/go"

type (
	Client                      = libpusher.Client
	TriggerParams               = libpusher.TriggerParams
	Event                       = libpusher.Event
	TriggerChannelsList         = libpusher.TriggerChannelsList
	TriggerChannelListItem      = libpusher.TriggerChannelListItem
	TriggerBatchChannelsList    = libpusher.TriggerBatchChannelsList
	TriggerBatchChannelListItem = libpusher.TriggerBatchChannelListItem
	ChannelsParams              = libpusher.ChannelsParams
	ChannelsList                = libpusher.ChannelsList
	ChannelListItem             = libpusher.ChannelListItem
	ChannelParams               = libpusher.ChannelParams
	Channel                     = libpusher.Channel
	Users                       = libpusher.Users
	User                        = libpusher.User
	MemberData                  = libpusher.MemberData
	Webhook                     = libpusher.Webhook
	WebhookEvent                = libpusher.WebhookEvent
)

// ClientFromURL returns a client for a URL such as https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID.
func ClientFromURL(serverURL string) (*Client, error) { return libpusher.ClientFromURL(serverURL) }

// ClientFromEnv returns a client for the URL in an environment variable.
func ClientFromEnv(key string) (*Client, error) { return libpusher.ClientFromEnv(key) }
