package pusher_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

func pointer(text string) *string { return &text }

// refused checks the error's status and argument, and returns it.
func refused(t *testing.T, err error, status pusher.Status, argument string) *pusher.Error {
	t.Helper()
	var failed *pusher.Error
	if !errors.As(err, &failed) || failed.Status != status || failed.Argument != argument {
		t.Fatalf("wanted %v about %q, got %#v", status, argument, err)
	}
	return failed
}

func TestStringsBytesRawJSONAndValuesAsPayloads(t *testing.T) {
	server := healthy(t)
	client := server.client(t)
	type greeting struct {
		To   string `json:"to"`
		From *string
	}
	payloads := []struct {
		data   any
		wanted string
	}{
		{"text <&>", "text <&>"},
		{[]byte(`{"raw": "bytes"}`), `{"raw": "bytes"}`},
		{json.RawMessage(`{"b": 1.10, "a": [ ]}`), `{"b": 1.10, "a": [ ]}`},
		{json.RawMessage(nil), "null"},
		{greeting{To: "<you>"}, `{"to":"<you>","From":null}`},
		{map[string]any{"b": 1, "a": []int{2}}, `{"a":[2],"b":1}`},
		{nil, "null"},
		{time.Unix(0, 0).UTC(), "1970-01-01T00:00:00Z"},
	}
	for _, payload := range payloads {
		if err := client.Trigger("c", "e", payload.data); err != nil {
			t.Fatalf("%#v: %v", payload.data, err)
		}
	}
	for index, event := range server.applied(t) {
		same(t, "the payload", event["data"], payloads[index].wanted)
	}
}

func TestInvalidJSONIsRefusedBeforeTheCall(t *testing.T) {
	client := unreachable.client(t)
	failed := refused(t, client.Trigger("c", "e", make(chan int)), pusher.StatusInvalidArgument, "data")
	if failed.Delivery != pusher.DeliveryNotSent {
		t.Errorf("delivery is %v", failed.Delivery)
	}
	var unsupported *json.UnsupportedTypeError
	if !errors.As(failed, &unsupported) {
		t.Errorf("%v does not hold the error of encoding/json", failed)
	}
	_, err := client.TriggerBatch([]pusher.Event{{Channel: "c", Name: "e", Data: 1}, {Channel: "c", Name: "e", Data: func() {}}})
	refused(t, err, pusher.StatusInvalidArgument, "events[1].data")
	refused(t, client.Trigger("c", "e", json.RawMessage("{")), pusher.StatusInvalidArgument, "data")
	refused(t, client.Trigger("c", "e", json.RawMessage("1\x00")), pusher.StatusInvalidArgument, "data")
}

func TestInvalidUTF8IsRefusedAndNotReplaced(t *testing.T) {
	client := unreachable.client(t)
	refused(t, client.Trigger("c", "e", "caf\xe9"), pusher.StatusInvalidArgument, "data")
	refused(t, client.Trigger("c", "caf\xe9", "x"), pusher.StatusInvalidArgument, "event")
	refused(t, client.TriggerMulti([]string{"a", "caf\xe9"}, "e", "x"), pusher.StatusInvalidArgument, "channels")
	wrong := pusher.Client{AppID: "1", Key: "k", Secret: "caf\xe9"}
	if err := wrong.Check(); !errors.Is(err, pusher.StatusInvalidArgument) {
		t.Errorf("a secret that is not UTF-8: %v", err)
	}
}

func TestAClientLiteralIsReadyToUse(t *testing.T) {
	server := healthy(t)
	client := pusher.Client{AppID: "4711", Key: faults.Key, Secret: faults.Secret, Insecure: true}
	client.Host = fmt.Sprintf("127.0.0.1:%d", server.Port)
	defer client.Close()
	list, err := client.TriggerMultiWithParams([]string{"a", "b"}, "e", "x", pusher.TriggerParams{SocketID: pointer("1.2"), Info: pointer("subscription_count")})
	if err != nil || len(list.Channels) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	batch, err := client.TriggerBatch([]pusher.Event{{Channel: "a", Name: "e", Data: "x", Info: pointer("subscription_count")}})
	if err != nil || len(batch.Batch) != 1 {
		t.Fatalf("%v, %v", batch, err)
	}
	if err := client.SendToUser("u", "e", "x"); err != nil {
		t.Fatal(err)
	}
	if err := client.TerminateUserConnections("u"); err != nil {
		t.Fatal(err)
	}
	channel, err := client.Channel("c", pusher.ChannelParams{})
	if err != nil || channel.Name != "c" || channel.Occupied {
		t.Fatalf("%v, %v", channel, err)
	}
	channels, err := client.Channels(pusher.ChannelsParams{FilterByPrefix: pointer("presence-"), Info: pointer("user_count")})
	if err != nil || channels.Channels == nil {
		t.Fatalf("%v, %v", channels, err)
	}
	users, err := client.GetChannelUsers("presence-c")
	if err != nil || users.List == nil {
		t.Fatalf("%v, %v", users, err)
	}
}

func TestWebhooksOfOtherServersAreRead(t *testing.T) {
	client := &pusher.Client{AppID: "1", Key: "k", Secret: "s", WebhookMaxAge: -1}
	// An event without a channel, data that is an object, and a time that is a string.
	body := `{"time_ms":"1700000000123","events":[{"name":"other"},{"name":"client_event","channel":"c","data":{"a":1},"event":"e"}]}`
	code := hmac.New(sha256.New, []byte("s"))
	code.Write([]byte(body))
	header := http.Header{"X-Pusher-Key": {"k"}, "X-Pusher-Signature": {hex.EncodeToString(code.Sum(nil))}}
	webhook, err := client.Webhook(header, []byte(body))
	if err != nil || webhook.TimeMs != 1_700_000_000_123 || len(webhook.Events) != 2 {
		t.Fatalf("%+v, %v", webhook, err)
	}
	if webhook.Events[0].Name != "other" || webhook.Events[0].Channel != "" || webhook.Events[1].Event != "e" {
		t.Fatalf("%+v", webhook.Events)
	}
}

func TestConfigurationOfEachField(t *testing.T) {
	full := pusher.Client{
		AppID: "1", Key: "k", Secret: "s", Cluster: "eu", Host: "[::1]:8443", Path: "/prefix", Secure: true,
		MaxConcurrentCalls: 3, Timeout: time.Second, ConnectTimeout: time.Second, Retry: pusher.Retry{Mode: "never", MaxAttempts: 1, Ratio: 0.5},
		AttemptTimeout: time.Second, Idempotency: "auto", ServerDeduplicates: true, IdempotencyWindow: time.Minute,
		EncryptionMasterKeyBase64: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", WebhookTokens: []pusher.WebhookToken{{Key: "k2", Secret: "s2"}},
		WebhookMaxAge: -1, OverrideMaxMessagePayloadKB: 20, MaxRequestBytes: 10_000, BatchRoute: "auto", Server: "soketi", ChannelCharacters: ":#", Proxy: "env", CAFile: "/none.pem", MaxIdleConnections: 4,
		ExtraCAFile: "/none.pem", UnixSocket: "/none.sock", Headers: map[string]string{"X-A": "b"}, MaxConnectionAge: time.Minute,
		IdleTimeout: time.Minute, LogLevel: pusher.LogDebug, Extra: map[string]any{"sign_path_prefix": false},
	}
	if err := full.Check(); err != nil {
		t.Error(err)
	}
	full.CAFile, full.TLSRoots = "", "both"
	if err := full.Check(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []struct {
		client   *pusher.Client
		argument string
	}{
		{&pusher.Client{AppID: "1", Key: "k"}, "secret"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", BatchRoute: "maybe"}, "batch_route"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Server: "sokudo"}, "server"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Server: "reverb"}, "host"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", ChannelCharacters: "/"}, "channel_characters"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Secure: true, Insecure: true}, "ssl"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Host: "h:1", Port: 2}, "port"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", UnixSocket: "relative"}, "unix_socket"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", CertificateFile: "/none.pem"}, "client_key_file"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", KeyFile: "/none.pem"}, "client_certificate_file"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Host: "h:99999"}, "host"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Host: "a:b:c"}, "host"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Retry: pusher.Retry{Mode: "often"}}, "retry.mode"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", CircuitBreaker: &pusher.CircuitBreaker{Failures: -1}}, "circuit_breaker.failures"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", CircuitBreaker: &pusher.CircuitBreaker{Open: time.Hour}}, "circuit_breaker.open_ms"},
		{&pusher.Client{AppID: "1", Key: "k", Secret: "s", Extra: map[string]any{"no_such_key": 1}}, "no_such_key"},
	} {
		refused(t, wrong.client.Check(), pusher.StatusInvalidConfig, wrong.argument)
		failed := refused(t, wrong.client.Trigger("c", "e", "x"), pusher.StatusInvalidConfig, wrong.argument)
		if failed.Delivery != pusher.DeliveryNotSent {
			t.Errorf("an event of a client that can't be made: %v", failed.Delivery)
		}
	}
}

func TestTLSIsOnUnlessInsecureIsSet(t *testing.T) {
	server := healthy(t) // a server without TLS
	client := server.client(t)
	client.Insecure, client.Retry.Mode, client.Timeout = false, "never", 300*time.Millisecond
	failed := refused(t, client.Trigger("c", "e", "x"), pusher.StatusNotSent, "")
	if !strings.Contains(failed.Message, "TLS") {
		t.Errorf("%v", failed)
	}
}

func TestClientsOfAURLAndOfTheEnvironment(t *testing.T) {
	server := healthy(t)
	address := fmt.Sprintf("http://%s:%s@127.0.0.1:%d/apps/4711", faults.Key, url.QueryEscape(faults.Secret), server.Port)
	for _, variable := range []string{"PUSHER_URL", "TEST_CHANNELS_URL"} {
		t.Setenv(variable, address)
	}
	for _, name := range []string{"PUSHER_URL", "TEST_CHANNELS_URL", ""} {
		client, err := pusher.ClientFromEnv(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Trigger("c", "e", "x"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		client.Close()
	}
	if _, err := pusher.ClientFromEnv("NO_SUCH_VARIABLE"); !errors.Is(err, pusher.StatusInvalidConfig) {
		t.Errorf("a variable that is not set: %v", err)
	}
	client, err := pusher.ClientFromURL(address)
	if err != nil {
		t.Fatal(err)
	}
	client.Timeout = time.Millisecond // fields may be set later
	client.Close()
	refused(t, client.Trigger("c", "e", "x"), pusher.StatusInvalidState, "")
	mixed, err := pusher.ClientFromEnv("")
	if err != nil {
		t.Fatal(err)
	}
	mixed.Timeout = time.Second
	refused(t, mixed.Check(), pusher.StatusInvalidConfig, "")
}

func TestAuthorizationOfForms(t *testing.T) {
	client := unreachable.client(t)
	form := []byte("socket_id=1234.5678&channel_name=presence-c&more=1")
	response, err := client.AuthorizePresenceChannel(form, pusher.MemberData{UserID: "7", UserInfo: map[string]string{"name": "Ann"}})
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]string
	if err := json.Unmarshal(response, &answer); err != nil {
		t.Fatal(err)
	}
	same(t, "channel_data", answer["channel_data"], `{"user_id":"7","user_info":{"name":"Ann"}}`)
	for _, none := range []map[string]string{nil, {}} {
		response, err := client.AuthorizePresenceChannel(form, pusher.MemberData{UserID: "7", UserInfo: none})
		if err != nil || !strings.Contains(string(response), `"{\"user_id\":\"7\"}"`) {
			t.Errorf("%#v: %s, %v", none, response, err)
		}
	}
	// Other objects.
	struct7 := map[string]any{"user_id": "7", "user_info": struct {
		Level int `json:"level"`
	}{3}}
	response, err = client.AuthorizeChannel("presence-c", "1234.5678", struct7)
	if err != nil || !strings.Contains(string(response), `"{\"user_id\":\"7\",\"user_info\":{\"level\":3}}"`) {
		t.Errorf("%s, %v", response, err)
	}
	for body, argument := range map[string]string{
		"channel_name=private-c": "socket_id",
		"socket_id=1.2":          "channel_name",
		"socket_id=1.2&socket_id=3.4&channel_name=private-c": "socket_id",
		"socket_id=1.2&channel_name=%zz":                     "params",
		"socket_id=1.2%3Aprivate-d&channel_name=private-c":   "socket_id",
		"socket_id=1.2&channel_name=c":                       "channel",
	} {
		_, err := client.AuthorizePrivateChannel([]byte(body))
		refused(t, err, pusher.StatusInvalidArgument, argument)
	}
	if _, err := client.AuthenticateUser([]byte("socket_id=1.2"), map[string]any{"id": "7", "watchlist": []string{"8"}}); err != nil {
		t.Error(err)
	}
}

func TestAnErrorReportsTheDelivery(t *testing.T) {
	client := listen(t, once("retry-after-1")).client(t)
	client.Retry.Mode = "never"
	err := client.Trigger("c", "e", "x")
	var failed *pusher.Error
	if !errors.As(err, &failed) {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, pusher.StatusRateLimited) || errors.Is(err, pusher.StatusForbidden) {
		t.Errorf("%v is not as its status says", err)
	}
	wanted := pusher.Error{
		Status: pusher.StatusRateLimited, Message: failed.Message, Delivery: pusher.DeliveryRejected, Retryable: true, Attempts: 1,
		HTTPStatus: 429, Response: failed.Response, ServerCode: "429", RetryAfter: time.Second, Document: failed.Document,
	}
	if !reflect.DeepEqual(*failed, wanted) {
		t.Errorf("%#v", failed)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%v %+v %#v", client, client, client)} {
		if strings.Contains(text, faults.Secret) {
			t.Errorf("holds the secret: %s", text)
		}
	}
}

func TestAnErrorHasTheServersCodeAndRateLimit(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"code":"rate_limited"}`)
	}))
	defer server.Close()
	client, err := pusher.ClientFromURL(strings.Replace(server.URL, "://", "://k:s@", 1) + "/apps/1")
	if err != nil {
		t.Fatal(err)
	}
	client.Retry.Mode = "never"
	var failed *pusher.Error
	if err := client.Trigger("c", "e", "x"); !errors.As(err, &failed) || failed.ServerCode != "rate_limited" {
		t.Fatalf("%#v", err)
	}
	limit := failed.RateLimit
	if limit == nil || limit.Limit == nil || *limit.Limit != 100 || *limit.Remaining != 0 || limit.Reset != nil {
		t.Errorf("%#v", limit)
	}
}

func TestAnEventHasMembersThatOnlySomeServersKnow(t *testing.T) {
	bodies := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	client, err := pusher.ClientFromURL(strings.Replace(server.URL, "://", "://k:s@", 1) + "/apps/1")
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{"tags": map[string]string{"a": "b"}}
	batch := []pusher.BatchEvent{{Event: pusher.Event{Channel: "c", Name: "e", Data: "x"}, Members: members}}
	if _, err := client.TriggerContext(context.Background(), []string{"c"}, "e", "x", pusher.TriggerOptions{Members: members}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.TriggerBatchWithParams(context.Background(), batch, pusher.TriggerBatchParams{}); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2; i++ {
		if body := <-bodies; !strings.Contains(body, `"data":"x","tags":{"a":"b"}}`) {
			t.Error(body)
		}
	}
}

func TestADeadlineLimitsTheCall(t *testing.T) {
	server := listen(t, map[string]any{"fault": "silence-after-request-applied", "times": 0})
	for name, sender := range map[string]*http.Client{"the library": nil, "net/http": {}} {
		t.Run(name, func(t *testing.T) {
			client := server.client(t)
			client.HTTPClient = sender
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{})
			if took := time.Since(start); took < 150*time.Millisecond || took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			failed := refused(t, err, pusher.StatusDeliveryUnknown, "")
			if failed.Cause != "timeout" || failed.Delivery != pusher.DeliveryUnknown || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%#v", failed)
			}
			// The context's deadline also limits a call with a longer explicit timeout.
			longer := pusher.TriggerOptions{Extra: map[string]any{"timeout_ms": 60000}}
			ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			start = time.Now()
			if _, err = client.TriggerContext(ctx, []string{"c"}, "e", "x", longer); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%#v", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			// The client's timeout is not a context's deadline.
			_, err = client.TriggerContext(context.Background(), []string{"c"}, "e", "x", pusher.TriggerOptions{Timeout: 100 * time.Millisecond})
			if refused(t, err, pusher.StatusDeliveryUnknown, ""); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%#v", err)
			}
		})
	}
}

func TestADoneContextSendsNothing(t *testing.T) {
	server := healthy(t)
	client := server.client(t)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithTimeout(context.Background(), -time.Second)
	defer cancel()
	for ctx, why := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{})
		failed := refused(t, err, pusher.StatusNotSent, "")
		if failed.Delivery != pusher.DeliveryNotSent || !errors.Is(err, why) {
			t.Errorf("%#v", failed)
		}
		_, err = client.ChannelContext(ctx, "c", pusher.ChannelParams{})
		if failed := refused(t, err, pusher.StatusNotSent, ""); failed.Delivery != pusher.DeliveryNone {
			t.Errorf("%#v", failed)
		}
	}
	same(t, "published", server.applied(t), []map[string]any{})
}

// cancelled makes a call, cancels it when isThere, and returns its error, which must come at once.
func cancelled(t *testing.T, isThere func() bool, call func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	for !isThere() {
		runtime.Gosched()
	}
	cancel()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
		return nil
	}
}

func TestCancellingEndsACall(t *testing.T) {
	for name, sender := range map[string]*http.Client{"the library": nil, "net/http": {}} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, map[string]any{"fault": "silence-after-request-applied", "times": 2})
			client := server.client(t)
			client.HTTPClient, client.Timeout = sender, 20*time.Second
			err := cancelled(t, func() bool { return len(server.applied(t)) == 1 }, func(ctx context.Context) error {
				_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{})
				return err
			})
			failed := refused(t, err, pusher.StatusDeliveryUnknown, "")
			if !errors.Is(err, context.Canceled) || failed.Delivery != pusher.DeliveryUnknown || failed.Cause != "cancelled" || failed.Retryable {
				t.Errorf("%#v", failed)
			}
			// A query has no delivery. It is not retried.
			err = cancelled(t, func() bool { return len(server.attempts(t)) == 2 }, func(ctx context.Context) error {
				_, err := client.ChannelContext(ctx, "c", pusher.ChannelParams{})
				return err
			})
			failed = refused(t, err, pusher.StatusDeliveryUnknown, "")
			if !errors.Is(err, context.Canceled) || failed.Delivery != pusher.DeliveryNone {
				t.Errorf("%#v", failed)
			}
			// Other calls go on, with and without a context that can be cancelled.
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if _, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{}); err != nil {
				t.Error(err)
			}
			if err := client.Trigger("c", "e", "x"); err != nil {
				t.Error(err)
			}
			same(t, "the attempts", len(server.attempts(t)), 4)
		})
	}
}

// With a circuit breaker and in a fan-out the library calls HTTPClient, and does not interrupt it.
func TestCancellingEndsACallWhoseRequestTheLibraryPassesToHTTPClient(t *testing.T) {
	many := make([]string, 250)
	for index := range many {
		many[index] = fmt.Sprint("c", index)
	}
	for name, breaks := range map[string]bool{"circuit breaker": true, "fan-out": false} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, map[string]any{"fault": "silence-after-request-applied", "times": 1})
			client := server.client(t)
			client.HTTPClient, client.Timeout = &http.Client{Transport: &http.Transport{}}, 20*time.Second
			channels := many
			if breaks {
				client.CircuitBreaker, channels = &pusher.CircuitBreaker{}, many[:1]
			}
			err := cancelled(t, func() bool { return len(server.attempts(t)) == 1 && len(server.applied(t)) > 0 }, func(ctx context.Context) error {
				_, err := client.TriggerContext(ctx, channels, "e", "x", pusher.TriggerOptions{FanOut: !breaks})
				return err
			})
			var failed *pusher.Error
			if !errors.As(err, &failed) || !errors.Is(err, context.Canceled) || failed.Delivery != pusher.DeliveryUnknown {
				t.Fatalf("%#v", err)
			}
			same(t, "the attempts", len(server.attempts(t)), 1)
			// Other calls go on.
			if err := client.Trigger("c", "e", "x"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each call that can wait has a variant with a context, and a done context keeps it from waiting.
func TestEachCallTakesAContext(t *testing.T) {
	// The fault server would refuse some of these requests.
	var requests atomic.Int64
	silence := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		requests.Add(1)
		<-silence
	}))
	defer server.Close()
	defer close(silence)
	port := listener{Port: server.Listener.Addr().(*net.TCPAddr).Port}
	for name, breaker := range map[string]*pusher.CircuitBreaker{"without a circuit breaker": nil, "with one": {Failures: 1000}} {
		for sender, with := range map[string]*http.Client{"the library": nil, "net/http": {Transport: &http.Transport{}}} {
			t.Run(name+", "+sender, func(t *testing.T) {
				client := port.client(t)
				client.HTTPClient, client.CircuitBreaker, client.Timeout = with, breaker, 20*time.Second
				event := []pusher.BatchEvent{{Event: pusher.Event{Channel: "c", Name: "e", Data: "x"}}}
				calls := map[string]func(context.Context) error{
					"TriggerContext": func(ctx context.Context) error {
						_, err := client.TriggerContext(ctx, []string{"c"}, "e", "x", pusher.TriggerOptions{})
						return err
					},
					"TriggerBatchContext": func(ctx context.Context) error {
						_, err := client.TriggerBatchContext(ctx, []pusher.Event{{Channel: "c", Name: "e", Data: "x"}})
						return err
					},
					"TriggerBatchWithParams": func(ctx context.Context) error {
						_, err := client.TriggerBatchWithParams(ctx, event, pusher.TriggerBatchParams{})
						return err
					},
					"SendToUserContext": func(ctx context.Context) error {
						_, err := client.SendToUserContext(ctx, "7", "e", "x", pusher.TriggerOptions{})
						return err
					},
					"TerminateUserConnectionsContext": func(ctx context.Context) error { return client.TerminateUserConnectionsContext(ctx, "7") },
					"ChannelsContext": func(ctx context.Context) error {
						_, err := client.ChannelsContext(ctx, pusher.ChannelsParams{})
						return err
					},
					"ChannelContext": func(ctx context.Context) error {
						_, err := client.ChannelContext(ctx, "c", pusher.ChannelParams{})
						return err
					},
					"GetChannelUsersContext": func(ctx context.Context) error {
						_, err := client.GetChannelUsersContext(ctx, "presence-c")
						return err
					},
					"GetContext": func(ctx context.Context) error {
						_, err := client.GetContext(ctx, "/channels", nil)
						return err
					},
					"PostContext": func(ctx context.Context) error {
						_, err := client.PostContext(ctx, "/events", nil, map[string]string{})
						return err
					},
					"DeleteContext": func(ctx context.Context) error {
						_, err := client.DeleteContext(ctx, "/users/7", nil)
						return err
					},
				}
				queries := map[string]bool{"ChannelsContext": true, "ChannelContext": true, "GetChannelUsersContext": true, "GetContext": true}
				for name, call := range calls {
					before := requests.Load()
					err := cancelled(t, func() bool { return requests.Load() > before }, call)
					failed := refused(t, err, pusher.StatusDeliveryUnknown, "")
					if !errors.Is(err, context.Canceled) || failed.Cause != "cancelled" {
						t.Errorf("%s: %#v", name, failed)
					}
					delivery := pusher.DeliveryUnknown
					if queries[name] {
						delivery = pusher.DeliveryNone
					}
					same(t, name, failed.Delivery, delivery)
					done, cancel := context.WithCancel(context.Background())
					cancel()
					if err := call(done); !errors.Is(err, pusher.StatusNotSent) || !errors.Is(err, context.Canceled) {
						t.Errorf("%s: %#v", name, err)
					}
				}
			})
		}
	}
}

func TestACircuitBreakerHoldsBackHTTPClient(t *testing.T) {
	server := healthy(t)
	next := &http.Transport{}
	defer next.CloseIdleConnections()
	// down returns a client whose transport fails, the number of its requests, and what repairs it.
	down := func(t *testing.T) (*pusher.Client, *atomic.Int64, func()) {
		var requests atomic.Int64
		var isRepaired atomic.Bool
		client := server.client(t)
		client.HTTPClient = &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			requests.Add(1)
			if isRepaired.Load() {
				return next.RoundTrip(request)
			}
			return nil, &net.OpError{Op: "dial", Err: errors.New("no route")}
		})}
		return client, &requests, func() { isRepaired.Store(true) }
	}
	for name, set := range map[string]func(*pusher.Client){
		"the field": func(client *pusher.Client) {
			client.CircuitBreaker = &pusher.CircuitBreaker{Failures: 2, Open: 5 * time.Minute}
		},
		"Extra": func(client *pusher.Client) {
			client.Extra = map[string]any{"circuit_breaker": map[string]any{"failures": 2, "open_ms": 300000}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, requests, repair := down(t)
			set(client)
			for index := 0; index < 2; index++ {
				if failed := refused(t, client.Trigger("c", "e", "x"), pusher.StatusDeliveryUnknown, ""); failed.Cause != "connect" {
					t.Errorf("%#v", failed)
				}
			}
			repair()
			for _, call := range []func() error{
				func() error { return client.Trigger("c", "e", "x") },
				func() error { _, err := client.Channels(pusher.ChannelsParams{}); return err },
			} {
				failed := refused(t, call(), pusher.StatusNotSent, "")
				if failed.Cause != "circuit" || failed.Attempts != 0 || failed.RetryAfter <= 0 {
					t.Errorf("%#v", failed)
				}
			}
			same(t, "requests", requests.Load(), int64(2))
			stats, err := client.Stats()
			if err != nil || stats.Requests != 2 {
				t.Errorf("%+v, %v", stats, err)
			}
		})
	}
	t.Run("a probe closes it", func(t *testing.T) {
		client, _, repair := down(t)
		client.CircuitBreaker = &pusher.CircuitBreaker{Failures: 1, Open: 100 * time.Millisecond}
		refused(t, client.Trigger("c", "e", "x"), pusher.StatusDeliveryUnknown, "")
		repair()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			err := client.Trigger("c", "e", "x")
			if err == nil {
				break
			}
			if failed := refused(t, err, pusher.StatusNotSent, ""); failed.Cause != "circuit" || time.Now().After(deadline) {
				t.Fatalf("%#v", failed)
			}
		}
		if err := client.Trigger("c", "e", "x"); err != nil {
			t.Error(err)
		}
	})
}

func TestACallThatIsCancelledWhileItConnectsIsNotSent(t *testing.T) {
	// Nobody accepts, and the handshake gets no answer.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := &pusher.Client{AppID: "1", Key: "k", Secret: "s", Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Timeout: 20 * time.Second}
	defer client.Close()
	start := time.Now()
	err = cancelled(t, func() bool { return time.Since(start) > 100*time.Millisecond }, func(ctx context.Context) error {
		return client.TerminateUserConnectionsContext(ctx, "7")
	})
	failed := refused(t, err, pusher.StatusNotSent, "")
	if !errors.Is(err, context.Canceled) || failed.Delivery != pusher.DeliveryNotSent || failed.Cause != "cancelled" {
		t.Errorf("%#v", failed)
	}
}

// Contexts that are cancelled at any instant leave no goroutine, and what their calls report is true.
func TestManyCancelledContexts(t *testing.T) {
	server := listen(t, map[string]any{"fault": "none", "times": 0})
	client := server.client(t)
	if err := client.Trigger("c", "e", "first"); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	const calls = 300
	deliveries := map[string]pusher.Delivery{}
	for index := 0; index < calls; index++ {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(index)*5*time.Microsecond, cancel)
		data := fmt.Sprint(index)
		_, err := client.TriggerContext(ctx, []string{"c"}, "e", data, pusher.TriggerOptions{})
		timer.Stop()
		cancel()
		var failed *pusher.Error
		switch {
		case err == nil:
			deliveries[data] = pusher.DeliveryDelivered
		case errors.As(err, &failed) && errors.Is(err, context.Canceled):
			deliveries[data] = failed.Delivery
		default:
			t.Errorf("%#v", err)
		}
	}
	times := map[string]int{}
	for _, event := range server.applied(t) {
		times[event["data"].(string)]++
	}
	for data, delivery := range deliveries {
		count := times[data]
		right := delivery == pusher.DeliveryDelivered && count == 1 || delivery == pusher.DeliveryNotSent && count == 0 ||
			delivery == pusher.DeliveryUnknown && count <= 1
		if !right {
			t.Errorf("%s: %v, published %d times", data, delivery, count)
		}
	}
	for start := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
}

// Calls beyond MaxConcurrentCalls wait for their turn, within their timeout.
func TestCallsWaitForTheirTurn(t *testing.T) {
	server := listen(t, map[string]any{"fault": "silence-after-request", "times": 1})
	client := server.client(t)
	client.MaxConcurrentCalls, client.Timeout, client.Retry.Mode = 1, 600*time.Millisecond, "never"
	first := make(chan error, 1)
	go func() { first <- client.Trigger("c", "first", "x") }()
	for len(server.attempts(t)) == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := client.TriggerContext(ctx, []string{"c"}, "second", "x", pusher.TriggerOptions{})
	if refused(t, err, pusher.StatusNotSent, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%#v", err)
	}
	_, err = client.TriggerContext(context.Background(), []string{"c"}, "third", "x", pusher.TriggerOptions{Timeout: 50 * time.Millisecond})
	refused(t, err, pusher.StatusNotSent, "")
	if err := <-first; !errors.Is(err, pusher.StatusDeliveryUnknown) {
		t.Errorf("%#v", err)
	}
	if err := client.Trigger("c", "fourth", "x"); err != nil {
		t.Error(err)
	}
	applied := server.applied(t)
	if len(applied) != 1 || applied[0]["name"] != "fourth" {
		t.Errorf("published %v", applied)
	}
}

func TestTheLogReceivesRecords(t *testing.T) {
	server := healthy(t)
	var mutex sync.Mutex
	var records []pusher.LogRecord
	client := server.client(t)
	client.LogLevel = pusher.LogDebug
	client.Log = func(record pusher.LogRecord) {
		mutex.Lock()
		defer mutex.Unlock()
		records = append(records, record)
		switch len(records) {
		case 2:
			panic("in the log")
		case 3:
			runtime.Goexit()
		}
	}
	for range [5]int{} {
		if err := client.Trigger("c", "e", "payload"); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Trigger("a b", "e", "payload")
	mutex.Lock()
	defer mutex.Unlock()
	if len(records) < 6 || records[0].Level != pusher.LogDebug || records[0].Fields["call"] == nil {
		t.Errorf("%v", records)
	}
	if text := fmt.Sprint(records); strings.Contains(text, faults.Secret) || strings.Contains(text, "payload") {
		t.Errorf("the log says too much: %s", text)
	}
}

func TestTheObserverIsToldOfCallsAndAttempts(t *testing.T) {
	server := healthy(t)
	var mutex sync.Mutex
	var seen []pusher.Observation
	client := server.client(t)
	client.Observe = func(observation pusher.Observation) {
		mutex.Lock()
		defer mutex.Unlock()
		seen = append(seen, observation)
		if observation.Kind == pusher.CallStart {
			panic("in the observer")
		}
	}
	if err := client.Trigger("c", "e", "payload"); err != nil {
		t.Fatal(err)
	}
	mutex.Lock()
	defer mutex.Unlock()
	for index, kind := range []pusher.ObservationKind{pusher.CallStart, pusher.AttemptStart, pusher.AttemptEnd, pusher.CallEnd} {
		if len(seen) != 4 || seen[index].Kind != kind || seen[index].CallID != 1 || seen[index].Fields["call"] != "trigger" {
			t.Fatalf("%v", seen)
		}
	}
	stats, err := client.Stats()
	if err != nil || stats.Calls["trigger"]["delivered"] != 1 || stats.Connections.Opened != 1 || stats.LatencyMs.Count != 1 {
		t.Errorf("%v %+v", err, stats)
	}
}

// The log callback becomes garbage after the client is closed.
func TestClosingReleasesTheLog(t *testing.T) {
	for name, end := range map[string]func(*pusher.Client){"closed": (*pusher.Client).Close, "garbage": func(*pusher.Client) {}} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			func() {
				client := &pusher.Client{AppID: "1", Key: "k", Secret: "s", Host: "127.0.0.1:1", Insecure: true}
				held := new([1 << 20]byte)
				runtime.SetFinalizer(held, func(*[1 << 20]byte) { close(gone) })
				client.Log = func(pusher.LogRecord) { held[0]++ }
				_ = client.Trigger("a b", "e", "x")
				end(client)
			}()
			deadline := time.After(10 * time.Second)
			for {
				runtime.GC()
				select {
				case <-gone:
					return
				case <-deadline:
					t.Fatal("it is still held")
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

func TestClosingWaitsForCallsAndRefusesLaterOnes(t *testing.T) {
	server := listen(t, map[string]any{"fault": "late-answer", "times": 0, "params": map[string]any{"ms": 5}})
	client := server.client(t)
	var delivered, closed atomic.Int64
	var all sync.WaitGroup
	started := make(chan struct{}, 64)
	for range [64]int{} {
		all.Add(1)
		go func() {
			defer all.Done()
			for count := 0; ; count++ {
				err := client.Trigger("c", "e", "x")
				switch {
				case err == nil:
					delivered.Add(1)
				case errors.Is(err, pusher.StatusInvalidState):
					closed.Add(1)
					return
				default:
					t.Error(err)
					return
				}
				if count == 0 {
					started <- struct{}{}
				}
			}
		}()
	}
	for range [64]int{} {
		<-started
	}
	client.Close()
	client.Close()
	all.Wait()
	if closed.Load() != 64 || int(delivered.Load()) != len(server.applied(t)) {
		t.Errorf("%d closed, %d delivered", closed.Load(), delivered.Load())
	}
	never := &pusher.Client{AppID: "1", Key: "k", Secret: "s"}
	never.Close()
	refused(t, never.Trigger("c", "e", "x"), pusher.StatusInvalidState, "")
}

func TestVersionAndNames(t *testing.T) {
	if version := pusher.Version(); strings.Count(version, ".") != 2 {
		t.Error(version)
	}
	same(t, "a name", pusher.StatusNotSent.String(), "NOT_SENT")
	same(t, "no name", pusher.Status(19).String(), "?")
	same(t, "a delivery", pusher.DeliveryNotSent.String(), "not_sent")
	same(t, "a level", pusher.LogWarn.String(), "warn")
}

// Compares the reported delivery with the server's ledger under every fault.
func TestDeliveryIsTrueUnderEveryFault(t *testing.T) {
	if os.Getenv("FAULTS") == "few" {
		t.Skip("FAULTS=few")
	}
	var catalogue struct {
		Faults []struct {
			Name       string
			Plain, TLS bool
		}
	}
	var raw json.RawMessage
	control(t, "GET", "/faults", nil, &raw)
	if err := json.Unmarshal(raw, &catalogue); err != nil || len(catalogue.Faults) == 0 {
		if err := json.Unmarshal(raw, &catalogue.Faults); err != nil {
			t.Fatal(err)
		}
	}
	if len(catalogue.Faults) < 100 {
		t.Fatalf("only %d faults: %.200s", len(catalogue.Faults), raw)
	}
	for _, sender := range []string{"the library", "net/http"} {
		counts := map[pusher.Delivery]int{}
		for _, fault := range catalogue.Faults {
			if !fault.Plain || strings.HasPrefix(fault.Name, "proxy-") {
				continue
			}
			server := listen(t, once(fault.Name))
			client := server.client(t)
			client.Timeout, client.Retry.Mode = 400*time.Millisecond, "never"
			transport := &http.Transport{}
			if sender == "net/http" {
				client.HTTPClient = &http.Client{Transport: transport}
			}
			err := client.Trigger("c", "e", "x")
			delivery := pusher.DeliveryDelivered
			var failed *pusher.Error
			if errors.As(err, &failed) {
				delivery = failed.Delivery
			}
			counts[delivery]++
			times := len(server.applied(t))
			switch delivery {
			case pusher.DeliveryDelivered:
				// Some faults respond before they read the request.
				for deadline := time.Now().Add(5 * time.Second); times == 0 && time.Now().Before(deadline); times = len(server.applied(t)) {
					runtime.Gosched()
				}
				if times != 1 {
					t.Errorf("%s, %s: delivered, and published %d times", sender, fault.Name, times)
				}
			case pusher.DeliveryNotSent, pusher.DeliveryRejected:
				if times != 0 {
					t.Errorf("%s, %s: %v, and published %d times: %v", sender, fault.Name, delivery, times, err)
				}
			case pusher.DeliveryUnknown:
				if times > 1 {
					t.Errorf("%s, %s: published %d times: %v", sender, fault.Name, times, err)
				}
			default:
				t.Errorf("%s, %s: no delivery: %v", sender, fault.Name, err)
			}
			client.Close()
			transport.CloseIdleConnections()
		}
		t.Logf("%s: %v", sender, counts)
		if len(counts) != 4 {
			t.Errorf("%s never says some of it: %v", sender, counts)
		}
	}
}

// A transport that reports no connections may have used one, so its failures are unknown.
func TestFailureOfATransportThatHidesConnectionsIsUnknown(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"hidden": roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused, the second time")}
		}),
		"visible": &http.Transport{},
	} {
		client := unreachable.client(t)
		client.HTTPClient = &http.Client{Transport: transport}
		var failed *pusher.Error
		if err := client.Trigger("c", "e", "x"); !errors.As(err, &failed) || failed.Cause != "connect" {
			t.Fatalf("%s: %#v", name, err)
		}
		wanted := map[string]pusher.Delivery{"hidden": pusher.DeliveryUnknown, "visible": pusher.DeliveryNotSent}[name]
		same(t, name, failed.Delivery, wanted)
	}
}

// A fan-out takes several requests, each sent by HTTPClient.
func TestAFanOutOverNetHTTP(t *testing.T) {
	server := healthy(t)
	var requests atomic.Int64
	next := &http.Transport{}
	defer next.CloseIdleConnections()
	client := server.client(t)
	client.HTTPClient = &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
		switch requests.Add(1) {
		case 5:
			return nil, errors.New("out of order")
		case 7:
			panic("in the transport")
		}
		return next.RoundTrip(request)
	})}
	channels := make([]string, 250)
	for index := range channels {
		channels[index] = fmt.Sprint("c", index)
	}
	fan := func() error {
		_, err := client.TriggerContext(context.Background(), channels, "e", "x", pusher.TriggerOptions{FanOut: true})
		return err
	}
	if err := fan(); err != nil || requests.Load() != 3 || len(server.applied(t)) != 250 {
		t.Fatalf("%d requests, %v", requests.Load(), err)
	}
	failed := refused(t, fan(), pusher.StatusPartial, "") // the second of its requests fails
	if failed.Delivery != pusher.DeliveryUnknown || len(failed.Parts) != 3 || failed.Parts[1].Delivery != pusher.DeliveryUnknown {
		t.Errorf("%#v", failed)
	}
	if failed := refused(t, fan(), pusher.StatusPartial, ""); len(failed.Parts) != 3 || failed.Parts[0].Delivery != pusher.DeliveryUnknown {
		t.Errorf("%#v", failed)
	}
	client.Close()
	refused(t, fan(), pusher.StatusInvalidState, "")
}

// A client that the environment configures accepts no settings, such as those of a fan-out.
func TestAFanOutOverNetHTTPOfAClientByTheEnvironment(t *testing.T) {
	server := healthy(t)
	config := server.client(t)
	for name, value := range map[string]string{
		"PUSHER_URL": "", "PUSHER_APP_ID": config.AppID, "PUSHER_APP_KEY": config.Key, "PUSHER_APP_SECRET": config.Secret,
		"PUSHER_HOST": config.Host, "PUSHER_PORT": fmt.Sprint(config.Port), "PUSHER_SCHEME": "http",
	} {
		t.Setenv(name, value)
	}
	client, err := pusher.ClientFromEnv("")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.HTTPClient = &http.Client{Transport: &http.Transport{}}
	defer client.HTTPClient.CloseIdleConnections()
	channels := make([]string, 101)
	for index := range channels {
		channels[index] = fmt.Sprint("c", index)
	}
	if _, err := client.TriggerContext(ctx, channels, "e", "x", pusher.TriggerOptions{FanOut: true}); err != nil {
		t.Error(err)
	}
	if count := len(server.applied(t)); count != len(channels) {
		t.Error(count)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
