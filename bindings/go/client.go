package pusher

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/cgo"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Client is a client of one Channels application. Set its fields before the first call; later changes have no effect. Any number of goroutines may
// use a client. A field that is zero has the library's default.
//
// Copies that are made after the first call has returned share its connections, and Close closes them all. A copy from before is a client of its
// own. Do not copy or print a client during its first call.
type Client struct {
	AppID   string // required by calls whose path contains it; Key and Secret are always, or a URL instead
	Key     string
	Secret  string
	Server  string // the kind of server, "pusher" unless given: sets defaults, see docs/servers.md
	Cluster string // "mt1" unless given; the host is api-{cluster}.pusher.com
	Host    string // instead of a cluster; may end with a colon and a port
	Port    int    // 443, or 80 without TLS
	URL     string // https://KEY:SECRET@HOST/apps/APP_ID; other fields override its parts
	Path    string // a prefix of the path, for servers behind a proxy

	// Scheme is "https" or "http", in any case of its letters, in place of Secure or Insecure; an error if it contradicts them.
	Scheme string
	// Secure exists for compatibility with Pusher's SDK: TLS is on unless Insecure or UnixSocket is set.
	Secure bool
	// Insecure uses plain HTTP.
	Insecure bool

	// HTTPClient sends the requests instead of the library. Calls then hold no thread while they wait, and end when their context ends. Each
	// call is one attempt; the proxy, TLS settings and connections are HTTPClient's. Publishers do not use it. It follows no redirects. A
	// custom Transport must not send a POST twice. A fan-out holds a thread, as does each call with CircuitBreaker; a fan-out of a client of
	// ClientFromEnv("") retries requests that were not delivered.
	HTTPClient *http.Client

	// MaxConcurrentCalls limits the calls that wait for the network at once, 128 by default: each holds an operating system thread. Other
	// calls wait for their turn, within their timeout.
	MaxConcurrentCalls int

	Timeout        time.Duration // of a whole call, including retries and waiting: 5 s
	AttemptTimeout time.Duration // of one attempt of a call, so that a silent server leaves time for a retry: none
	ConnectTimeout time.Duration // 3 s
	Retry          Retry
	// CircuitBreaker makes calls fail at once while the server cannot be reached: off. The calls of HTTPClient have a circuit of their own,
	// which publishers do not share, and each of them holds a thread.
	CircuitBreaker *CircuitBreaker

	Idempotency        string        // "auto" gives each request that publishes a key, "off" does not; by the server
	ServerDeduplicates bool          // the server publishes a request with a key once, so that unknown results are retried (see pusher.h)
	IdempotencyWindow  time.Duration // how long the server remembers a key: 2 min

	EncryptionMasterKeyBase64   string         // 32 bytes, for private-encrypted- channels
	EncryptionMasterKey         string         // Deprecated: the same bytes without base64. Use EncryptionMasterKeyBase64.
	WebhookTokens               []WebhookToken // additional keys for webhooks
	WebhookMaxAge               time.Duration  // the maximum age of a webhook: 10 min; negative accepts any age
	OverrideMaxMessagePayloadKB int            // the maximum size of data, in KiB: 10
	MaxRequestBytes             int            // the limit of a request, head and body: none
	BatchRoute                  string         // whether the server has the route for batches: "true", "false" or "auto"; by the server
	ChannelCharacters           string         // characters that channel names may have beside Pusher's, of ":#"; by the server

	Proxy              string            // http://USER:PASSWORD@HOST:PORT, or "env" for the environment's
	Headers            map[string]string // to add to each request, such as those of a gateway before the server
	UnixSocket         string            // the path of a Unix domain socket to connect to; without TLS unless Secure is set
	CAFile             string            // PEM certificates to trust instead of the system's
	ExtraCAFile        string            // PEM certificates to trust besides the others
	TLSRoots           string            // "system", "bundled" or "both"
	CertificateFile    string            // PEM file of the client's own certificate, for servers that require one
	KeyFile            string            // PEM file of the private key of that certificate
	MaxIdleConnections int               // MaxConcurrentCalls by default
	IdleTimeout        time.Duration     // 15 s
	MaxConnectionAge   time.Duration     // how long a connection is reused: 5 min

	// Log receives log records down to LogLevel, LogWarn by default. It is called during a call, possibly by several at the same time, and
	// must not use the client. A panic in it is dropped.
	Log      func(LogRecord)
	LogLevel LogLevel

	// Observe is told of the start and the end of each call and each attempt, as Log is called.
	Observe func(Observation)

	// Extra has additional configuration keys of pusher_new (see pusher.h). They override fields.
	Extra map[string]any

	environment bool   // ClientFromEnv("")
	state       *state // made by the first call; read and written atomically
}

// state is what the copies of a client share. It is a pointer, so that a client may be copied: see Client.shared.
type state struct {
	opened atomic.Pointer[core]
	mutex  sync.Mutex // guards closed, and making the core
	closed bool
}

// making guards the making of the state of each client, which cannot hold a mutex of its own because it may be copied.
var making sync.Mutex

// shared returns the state, which the first call makes. (An atomic.Pointer instead of a plain one could not be copied.)
func (c *Client) shared() *state {
	at := (*unsafe.Pointer)(unsafe.Pointer(&c.state))
	if made := atomic.LoadPointer(at); made != nil {
		return (*state)(made)
	}
	// A mutex, because a compare-and-swap writes even if it fails: to a client that another goroutine's first call copies.
	making.Lock()
	defer making.Unlock()
	if made := atomic.LoadPointer(at); made != nil {
		return (*state)(made)
	}
	made := new(state)
	atomic.StorePointer(at, unsafe.Pointer(made))
	return made
}

// Retry configures retries. Mode "safe", the default, retries requests that were certainly not delivered and may now succeed; "at_least_once"
// also retries those that may have been delivered, which may deliver an event twice; "never" does not retry. MaxAttempts is 3 by default.
// Ratio is the share of the calls that may be retried, beyond the first ten retries of a client: 0.1 by default, 1 for no limit.
// (Extra can set it to 0.)
type Retry struct {
	Mode        string  `json:"mode,omitempty"`
	MaxAttempts int     `json:"max_attempts,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`
}

// CircuitBreaker configures when calls fail at once with the cause "circuit": after Failures failures in a row to reach the server (5), until
// one call has reached it. One is sent after Open (10 s).
type CircuitBreaker struct {
	Failures int
	Open     time.Duration
}

// WebhookToken is a key of webhooks and its secret.
type WebhookToken struct {
	Key    string `json:"key"`
	Secret string `json:"secret"`
}

const (
	defaultTimeout     = 5 * time.Second
	defaultConcurrency = 128
	mostIdle           = 1000 // the library's maximum
	defaultMaxResponse = 16 << 20
)

// ClientFromURL returns a client for a URL such as https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID, with the parts of the URL in its fields.
//
// https:// sets Secure, and http:// sets Insecure.
func ClientFromURL(serverURL string) (*Client, error) {
	// The library checks the URL, and the client that is made of its parts: net/url only takes it apart.
	if err := (&Client{URL: serverURL}).Check(); err != nil {
		return nil, err
	}
	client := &Client{}
	if !client.take(serverURL) {
		client = &Client{URL: serverURL}
	}
	if err := client.Check(); err != nil {
		return nil, err
	}
	return client, nil
}

// take sets the fields to the parts of a URL that the library accepts.
func (c *Client) take(serverURL string) bool {
	parts, err := url.Parse(serverURL)
	if err != nil || parts.User == nil {
		return false
	}
	path := parts.EscapedPath()
	at := strings.LastIndex(path, "/apps/")
	if at < 0 {
		return false
	}
	c.Path, c.AppID = path[:at], strings.TrimSuffix(path[at+len("/apps/"):], "/")
	c.Key, c.Host = parts.User.Username(), parts.Host
	c.Secret, _ = parts.User.Password()
	c.Secure = parts.Scheme == "https"
	c.Insecure = !c.Secure
	return true
}

// ClientFromEnv returns a client for the URL in an environment variable, as ClientFromURL does. With "" it reads PUSHER_URL, or PUSHER_APP_ID,
// PUSHER_KEY, PUSHER_SECRET, PUSHER_CLUSTER, PUSHER_HOST, PUSHER_PORT and PUSHER_SCHEME.
func ClientFromEnv(key string) (*Client, error) {
	if key != "" {
		return ClientFromURL(os.Getenv(key))
	}
	client := &Client{environment: true}
	if err := client.Check(); err != nil {
		return nil, err
	}
	return client, nil
}

// Check returns the error that the first call would return for wrong fields. It uses no network, and you may still change fields.
func (c *Client) Check() error {
	handle, err := c.make()
	C.pusher_free(handle)
	return err
}

// Close frees the client after its running calls have ended; later calls fail. The garbage collector closes a client that you did not close. The
// client's publishers continue.
func (c *Client) Close() {
	shared := c.shared()
	shared.mutex.Lock()
	defer shared.mutex.Unlock()
	shared.closed = true
	if opened := shared.opened.Load(); opened != nil {
		opened.life.close()
	}
}

// core is the state of a client after its first call.
type core struct {
	life    lifetime
	client  *C.Pusher
	slots   chan struct{} // one for each call that may wait for the network
	timeout time.Duration
	sender  *sender // by HTTPClient, or nil
	logs    bool
	breaks  bool // has a circuit breaker
	fan     *fan
}

// open returns the core, which the first call makes.
func (c *Client) open(op operation) (*core, error) {
	shared := c.shared()
	if opened := shared.opened.Load(); opened != nil {
		return opened, nil
	}
	shared.mutex.Lock()
	defer shared.mutex.Unlock()
	if opened := shared.opened.Load(); opened != nil {
		return opened, nil
	}
	if shared.closed {
		return nil, refusal(StatusInvalidState, failure{Message: "the client is closed", Delivery: op.delivery().String()}, nil)
	}
	opened, err := c.build()
	if err != nil {
		if err.Delivery == DeliveryNone {
			err.Delivery = op.delivery()
		}
		return nil, err
	}
	shared.opened.Store(opened)
	return opened, nil
}

func (c *Client) build() (*core, *Error) {
	handle, err := c.makeWithLog()
	if err != nil {
		return nil, err
	}
	opened := &core{
		client:  handle,
		slots:   make(chan struct{}, c.concurrency()),
		timeout: c.callTimeout(),
		sender:  newSender(c.HTTPClient, c.maxResponse()),
		logs:    c.Log != nil,
		breaks:  c.CircuitBreaker != nil || c.Extra["circuit_breaker"] != nil,
	}
	fan := newFan(*c)
	opened.fan = fan
	opened.life.free = func() { // without opened, which would refer to itself
		C.pusher_free(handle)
		C.pusher_free(fan.client)
	}
	runtime.SetFinalizer(opened, func(unused *core) { unused.life.close() })
	return opened, nil
}

// makeWithLog creates the library's client with its callbacks.
func (c *Client) makeWithLog() (*C.Pusher, *Error) {
	handle, err := c.make()
	if err != nil {
		return nil, err.(*Error)
	}
	if c.Log != nil {
		// The library owns the handle from here on, even if it fails.
		if status := C.bridge_set_log(handle, C.uintptr_t(cgo.NewHandle(c.Log))); status != C.PUSHER_STATUS_OK {
			C.pusher_free(handle)
			return nil, refusal(Status(status), failure{Message: "the log could not be set"}, nil)
		}
	}
	if c.Observe != nil {
		if status := C.bridge_set_observer(handle, C.uintptr_t(cgo.NewHandle(c.Observe))); status != C.PUSHER_STATUS_OK {
			C.pusher_free(handle)
			return nil, refusal(Status(status), failure{Message: "the observer could not be set"}, nil)
		}
	}
	return handle, nil
}

// make creates the library's client. The error is nil or an *Error.
func (c *Client) make() (*C.Pusher, error) {
	f := newFrame(opNone)
	defer f.free()
	switch config, err := c.configuration(); {
	case err != nil:
		return nil, err
	case c.environment:
		if len(config) > 0 {
			return nil, badConfig("", "a client that is configured by the environment accepts no other settings: use a URL")
		}
	default:
		f.begin()
		f.texts = append(f.texts, '{')
		for name, value := range config {
			f.member(name, name, value)
		}
		f.texts = append(f.texts, '}')
		f.end("config")
	}
	if f.failed != nil {
		return nil, f.failed
	}
	var config *C.char
	if !c.environment {
		config = f.base()
	}
	made := C.bridge_new(config, f.buffer(), C.size_t(len(f.answer)))
	_, err := f.take(made.answer)
	return (*C.Pusher)(made.handle), c.withKeyText(err)
}

func badConfig(argument, message string) *Error {
	if argument != "" {
		message = argument + ": " + message
	}
	return refusal(StatusInvalidConfig, failure{Message: message, Argument: argument}, nil)
}

func (c *Client) concurrency() int {
	if c.MaxConcurrentCalls > 0 {
		return c.MaxConcurrentCalls
	}
	return defaultConcurrency
}

func (c *Client) callTimeout() time.Duration {
	if given := number(c.Extra["timeout_ms"]); given > 0 {
		return time.Duration(given) * time.Millisecond
	}
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

func (c *Client) maxResponse() int64 {
	if given := number(c.Extra["max_response_bytes"]); given > 0 {
		return given
	}
	return defaultMaxResponse
}

// number returns a numeric member of Extra, or 0 for another type, which the library reports.
func number(member any) int64 {
	switch given := member.(type) {
	case int:
		return int64(given)
	case int64:
		return given
	case float64:
		return int64(given)
	case json.Number:
		number, _ := given.Int64()
		return number
	}
	return 0
}

// configuration returns the fields as keys of pusher_new.
func (c *Client) configuration() (map[string]any, error) {
	config := map[string]any{}
	text := func(name, value string) {
		if value != "" {
			config[name] = value
		}
	}
	duration := func(name string, value time.Duration) {
		if value != 0 {
			config[name] = milliseconds(value)
		}
	}
	if strings.IndexByte(c.URL, 0) >= 0 {
		return nil, refusal(StatusInvalidArgument, failure{Message: "config: has a NUL byte", Argument: "config"}, nil)
	}
	text("app_id", c.AppID)
	text("key", c.Key)
	text("secret", c.Secret)
	text("server", c.Server)
	text("cluster", c.Cluster)
	text("url", c.URL)
	text("path", c.Path)
	text("scheme", c.Scheme)
	text("proxy", c.Proxy)
	text("unix_socket", c.UnixSocket)
	if len(c.Headers) > 0 {
		config["headers"] = c.Headers
	}
	text("channel_characters", c.ChannelCharacters)
	text("ca_file", c.CAFile)
	text("extra_ca_file", c.ExtraCAFile)
	text("tls_roots", c.TLSRoots)
	text("client_certificate_file", c.CertificateFile)
	text("client_key_file", c.KeyFile)
	switch {
	case c.EncryptionMasterKey == "":
		text(masterKey, c.EncryptionMasterKeyBase64)
	case c.EncryptionMasterKeyBase64 == "":
		text(masterKey, base64.StdEncoding.EncodeToString([]byte(c.EncryptionMasterKey)))
	default:
		return nil, badConfig(masterKey, "is given twice: set EncryptionMasterKeyBase64 and not EncryptionMasterKey, or the other way round, not both")
	}
	duration("timeout_ms", c.Timeout)
	duration("attempt_timeout_ms", c.AttemptTimeout)
	duration("connect_timeout_ms", c.ConnectTimeout)
	text("idempotency", c.Idempotency)
	duration("idempotency_window_ms", c.IdempotencyWindow)
	if c.ServerDeduplicates {
		config["server_deduplicates"] = true
	}
	duration("idle_timeout_ms", c.IdleTimeout)
	duration("max_connection_age_ms", c.MaxConnectionAge)

	host, port := c.Host, ""
	if strings.Contains(host, ":") {
		if before, after, err := net.SplitHostPort(host); err == nil {
			host, port = before, after
		}
	}
	text("host", host)
	switch {
	case port != "" && c.Port != 0 && port != strconv.Itoa(c.Port):
		return nil, badConfig("port", "differs from the port in Host")
	case port != "":
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, badConfig("host", "its port is not a number up to 65535")
		}
		config["port"] = number
	case c.Port != 0:
		config["port"] = c.Port
	}
	switch {
	case c.Secure && c.Insecure:
		return nil, badConfig("ssl", "Secure and Insecure exclude each other")
	case c.Insecure:
		config["ssl"] = false
	case c.Secure:
		config["ssl"] = true
	}

	if c.Retry.Mode != "" || c.Retry.MaxAttempts != 0 {
		config["retry"] = c.Retry
	}
	if c.CircuitBreaker != nil {
		breaker := map[string]any{}
		if c.CircuitBreaker.Failures != 0 {
			breaker["failures"] = c.CircuitBreaker.Failures
		}
		if c.CircuitBreaker.Open != 0 {
			breaker["open_ms"] = milliseconds(c.CircuitBreaker.Open)
		}
		config["circuit_breaker"] = breaker
	}
	if c.WebhookTokens != nil {
		config["webhook_tokens"] = c.WebhookTokens
	}
	switch {
	case c.WebhookMaxAge < 0:
		config["webhook_max_age_ms"] = 0
	case c.WebhookMaxAge > 0:
		config["webhook_max_age_ms"] = milliseconds(c.WebhookMaxAge)
	}
	if c.OverrideMaxMessagePayloadKB != 0 {
		config["max_data_bytes"] = c.OverrideMaxMessagePayloadKB << 10
	}
	if c.MaxRequestBytes != 0 {
		config["max_request_bytes"] = c.MaxRequestBytes
	}
	switch c.BatchRoute {
	case "":
	case "true", "false":
		config["batch_route"] = c.BatchRoute == "true"
	default:
		config["batch_route"] = c.BatchRoute
	}
	if c.LogLevel != 0 {
		config["log_level"] = c.LogLevel.String()
	}
	if c.MaxIdleConnections != 0 {
		config["max_idle_connections"] = c.MaxIdleConnections
	} else if !c.environment {
		// As many as may be in use: otherwise each burst of calls would close connections and make new ones.
		idle := c.concurrency()
		if idle > mostIdle {
			idle = mostIdle
		}
		config["max_idle_connections"] = idle
	}
	for name, value := range c.Extra {
		config[name] = value
	}
	for _, token := range c.WebhookTokens {
		if !utf8.ValidString(token.Key) || !utf8.ValidString(token.Secret) {
			return nil, badConfig("webhook_tokens", "are not UTF-8")
		}
	}
	return config, nil
}

// perform opens the client and makes a call that uses the network.
func (c *Client) perform(ctx context.Context, f *frame, o options) ([]byte, error) {
	defer f.free()
	if f.failed != nil {
		return nil, f.failed
	}
	opened, err := c.open(f.op)
	if err != nil {
		return nil, err
	}
	return opened.network(ctx, f, o)
}

// sign opens the client and makes a call that uses no network.
func (c *Client) sign(f *frame, bodyLength int) ([]byte, error) {
	defer f.free()
	if f.failed != nil {
		return nil, f.failed
	}
	opened, err := c.open(f.op)
	if err != nil {
		return nil, err
	}
	document, err := opened.local(f, bodyLength)
	if failed := wrong(err); failed != nil {
		failed.setCommonText()
	}
	return document, err
}

// Version returns the version of the loaded library, such as "0.1.0".
func Version() string { return C.GoString(C.pusher_version()) }

// String describes the client without its secret.
func (c Client) String() string { return fmt.Sprintf("pusher.Client(%s)", c.AppID) }

// GoString is String for %#v.
func (c Client) GoString() string { return c.String() }

// MarshalJSON writes the fields that say which application and server the client is for, and none that may hold a secret.
func (c Client) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		AppID, Key, Server, Cluster, Host, Scheme string
		Port                                      int
		Secure, Insecure                          bool
	}{c.AppID, c.Key, c.Server, c.Cluster, c.Host, c.Scheme, c.Port, c.Secure, c.Insecure})
}
