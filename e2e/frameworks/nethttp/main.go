// A net/http server that publishes orders, authorizes its users, and takes webhooks.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

type site struct {
	pusher *pusher.Client

	mutex  sync.Mutex
	events []pusher.WebhookEvent
}

func main() {
	// It reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more. All requests share it.
	client, err := pusher.ClientFromEnv("")
	if err != nil {
		log.Fatal(err)
	}
	site := &site{pusher: client, events: []pusher.WebhookEvent{}}
	http.HandleFunc("/orders", site.createOrder)
	http.HandleFunc("/pusher/auth", withUser(site.authorizeChannel))
	http.HandleFunc("/pusher/user-auth", withUser(site.authenticateUser))
	http.HandleFunc("/pusher/webhook", site.webhook)
	http.HandleFunc("/webhooks", site.webhooks)
	http.HandleFunc("/up", func(http.ResponseWriter, *http.Request) {})

	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT")}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		log.Fatal(err)
	case <-stop.Done():
		late, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(late)
		client.Close()
	}
}

// withUser calls the handler with the id of the user, whose session this header stands for.
func withUser(handle func(w http.ResponseWriter, r *http.Request, user string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if user == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handle(w, r, user)
	}
}

func (s *site) createOrder(w http.ResponseWriter, r *http.Request) {
	order := map[string]string{"id": r.FormValue("id")}
	options := pusher.TriggerOptions{}
	if socketID := r.FormValue("socket_id"); socketID != "" {
		options.SocketID = &socketID // the connection that made the order already knows it
	}
	_, err := s.pusher.TriggerContext(r.Context(), []string{"private-orders"}, "order-created", order, options)
	var failed *pusher.Error
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, order)
	case errors.As(err, &failed) && failed.Cause != "": // the network failed
		// "not_sent": the event can be sent again. "unknown": it may have arrived.
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"delivery": failed.Delivery.String()})
	default:
		log.Print(err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (s *site) authorizeChannel(w http.ResponseWriter, r *http.Request, user string) {
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	form, _ := url.ParseQuery(string(body))
	var response []byte
	var err error
	if strings.HasPrefix(form.Get("channel_name"), "presence-") {
		member := pusher.MemberData{UserID: user, UserInfo: map[string]string{"name": user}}
		response, err = s.pusher.AuthorizePresenceChannel(body, member)
	} else {
		response, err = s.pusher.AuthorizePrivateChannel(body)
	}
	respond(w, response, err)
}

func (s *site) authenticateUser(w http.ResponseWriter, r *http.Request, user string) {
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	response, err := s.pusher.AuthenticateUser(body, map[string]any{"id": user})
	respond(w, response, err)
}

func respond(w http.ResponseWriter, response []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(response)
}

func (s *site) webhook(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	webhook, err := s.pusher.Webhook(r.Header, body)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.events = append(s.events, webhook.Events...)
}

func (s *site) webhooks(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	writeJSON(w, http.StatusOK, s.events)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
