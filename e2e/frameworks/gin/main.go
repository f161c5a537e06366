// A gin application that publishes orders, authorizes its users, and takes webhooks.
package main

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	pusher "github.com/libpusher/libpusher/bindings/go"
)

// withPusher gives each handler the client, of which there is one: requests share its connections.
func withPusher(client *pusher.Client) gin.HandlerFunc {
	return func(c *gin.Context) { c.Set("pusher", client) }
}

func channels(c *gin.Context) *pusher.Client { return c.MustGet("pusher").(*pusher.Client) }

// withUser sets the id of the user, whose session this header stands for.
func withUser(c *gin.Context) {
	user := strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
	if user == "" {
		c.AbortWithStatus(http.StatusForbidden)
		return
	}
	c.Set("user", user)
}

// withDelivery answers for handlers whose event was not delivered.
func withDelivery(c *gin.Context) {
	c.Next()
	var failed *pusher.Error
	switch last := c.Errors.Last(); {
	case last == nil:
	case errors.As(last.Err, &failed) && failed.Cause != "": // the network failed
		// "not_sent": the event can be sent again. "unknown": it may have arrived.
		c.JSON(http.StatusServiceUnavailable, gin.H{"delivery": failed.Delivery.String()})
	default:
		c.Status(http.StatusInternalServerError)
	}
}

func createOrder(c *gin.Context) {
	order := gin.H{"id": c.PostForm("id")}
	options := pusher.TriggerOptions{}
	if socketID := c.PostForm("socket_id"); socketID != "" {
		options.SocketID = &socketID // the connection that made the order already knows it
	}
	if _, err := channels(c).TriggerContext(c.Request.Context(), []string{"private-orders"}, "order-created", order, options); err != nil {
		_ = c.Error(err)
		return
	}
	c.JSON(http.StatusOK, order)
}

func authorizeChannel(c *gin.Context) {
	body, _ := c.GetRawData()
	form, _ := url.ParseQuery(string(body))
	user := c.GetString("user")
	var response []byte
	var err error
	if strings.HasPrefix(form.Get("channel_name"), "presence-") {
		member := pusher.MemberData{UserID: user, UserInfo: map[string]string{"name": user}}
		response, err = channels(c).AuthorizePresenceChannel(body, member)
	} else {
		response, err = channels(c).AuthorizePrivateChannel(body)
	}
	respond(c, response, err)
}

func authenticateUser(c *gin.Context) {
	body, _ := c.GetRawData()
	response, err := channels(c).AuthenticateUser(body, gin.H{"id": c.GetString("user")})
	respond(c, response, err)
}

func respond(c *gin.Context, response []byte, err error) {
	if err != nil {
		c.AbortWithStatus(http.StatusForbidden)
		return
	}
	c.Data(http.StatusOK, "application/json", response)
}

// withWebhook lets only authentic webhooks pass.
func withWebhook(c *gin.Context) {
	body, _ := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, 1<<20))
	webhook, err := channels(c).Webhook(c.Request.Header, body)
	if err != nil {
		c.AbortWithStatus(http.StatusUnauthorized)
		return
	}
	c.Set("webhook", webhook)
}

func main() {
	// It reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more.
	client, err := pusher.ClientFromEnv("")
	if err != nil {
		log.Fatal(err)
	}
	var mutex sync.Mutex
	events := []pusher.WebhookEvent{}

	router := gin.New()
	router.Use(gin.Recovery(), withPusher(client))
	router.POST("/orders", withDelivery, createOrder)
	router.POST("/pusher/auth", withUser, authorizeChannel)
	router.POST("/pusher/user-auth", withUser, authenticateUser)
	router.POST("/pusher/webhook", withWebhook, func(c *gin.Context) {
		mutex.Lock()
		defer mutex.Unlock()
		events = append(events, c.MustGet("webhook").(*pusher.Webhook).Events...)
	})
	router.GET("/webhooks", func(c *gin.Context) {
		mutex.Lock()
		defer mutex.Unlock()
		c.JSON(http.StatusOK, events)
	})
	router.GET("/up", func(c *gin.Context) {})
	log.Fatal(router.Run("127.0.0.1:" + os.Getenv("PORT")))
}
