// Package pushertest has a Channels server for the tests of an application. It records what was published, and fails on request.
//
//	func TestAnOrderIsAnnounced(t *testing.T) {
//		server := pushertest.NewServer(t)
//		shop := Shop{Channels: server.Client()}
//		shop.Order(7)
//		server.AssertTriggered("orders", "created", map[string]any{"id": 7})
//	}
//
// docs/testing-your-app.md has the faults. The server is the program pusher-testserver of libpusher's installation: the one that
// PUSHER_TESTSERVER names, or the one in PATH. One process serves all tests of a package, and ends with it.
package pushertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// Any stands for any data.
var Any any = anything{}

type anything struct{}

// Event is a published event.
type Event struct {
	Channel string `json:"channel"`
	Name    string `json:"event"`
	// Text is the data as it was sent. On an encrypted channel it is encrypted.
	Text string `json:"data"`
	// SocketID is the connection that does not receive the event, or "".
	SocketID string `json:"socket_id"`
	// UserID is the user whom the event was sent to, or "".
	UserID string `json:"user"`
}

// Data returns the data as encoding/json reads it, or the text if it is no JSON.
func (e Event) Data() any {
	var value any
	if json.Unmarshal([]byte(e.Text), &value) != nil {
		return e.Text
	}
	return value
}

func (e Event) String() string { return fmt.Sprintf("%s on %s: %s", e.Name, e.Channel, e.Text) }

func (e Event) fits(channel, event string, data any) bool {
	if e.Channel != channel || e.Name != event {
		return false
	}
	if data == Any || data == any(e.Text) {
		return true
	}
	text, err := json.Marshal(data)
	var value any
	return err == nil && json.Unmarshal(text, &value) == nil && reflect.DeepEqual(value, e.Data())
}

// Fault is a failure of the server.
type Fault struct {
	// Name is one of the names that `pusher-testserver --faults` prints.
	Name string
	// Times is how many attempts fail: 1 by default; a negative number is all.
	Times int
	// Warm is how many requests succeed first.
	Warm int
	// TLS makes the server speak TLS. Only NewFaultyServer reads it.
	TLS bool
	// Params are the parameters of the fault.
	Params map[string]any
}

func (f Fault) order(tls bool) map[string]any {
	times := f.Times
	if times == 0 {
		times = 1
	}
	if times < 0 {
		times = 0
	}
	order := map[string]any{"fault": f.Name, "tls": tls, "times": times, "warm": f.Warm}
	if f.Params != nil {
		order["params"] = f.Params
	}
	return order
}

// Config is the configuration of a client for a server.
type Config struct {
	AppID  string `json:"app_id"`
	Key    string `json:"key"`
	Secret string `json:"secret"`
	Host   string `json:"host"`
	Port   int    `json:"port"`
	SSL    bool   `json:"ssl"`
	CAFile string `json:"ca_file"`
	Proxy  string `json:"proxy"`
}

// Server is a Channels server on a port of its own, for one test. Any number of goroutines may use it.
type Server struct {
	// URL is the value of PUSHER_URL. A TLS server also needs Config.CAFile, a proxy Config.Proxy.
	URL    string
	Config Config
	t      testing.TB
	path   string
	tls    bool
}

// NewServer opens a server. It is closed when the test has ended.
func NewServer(t testing.TB) *Server {
	t.Helper()
	return NewFaultyServer(t, Fault{Name: "none"})
}

// NewFaultyServer opens a server that has a fault from the start, which some faults need.
func NewFaultyServer(t testing.TB, fault Fault) *Server {
	t.Helper()
	var opened struct {
		Port   int
		URL    string
		Config Config
	}
	ask(t, "POST", "/listen", fault.order(fault.TLS), 0, &opened)
	server := &Server{URL: opened.URL, Config: opened.Config, t: t, path: fmt.Sprintf("/listen/%d", opened.Port), tls: fault.TLS}
	t.Cleanup(func() { ask(t, "DELETE", server.path, nil, 0, nil) })
	return server
}

// Client returns a client of the server, which is closed when the test has ended.
func (s *Server) Client() *pusher.Client {
	c := s.Config
	client := &pusher.Client{
		AppID: c.AppID, Key: c.Key, Secret: c.Secret, Host: c.Host, Port: c.Port, Insecure: !c.SSL, CAFile: c.CAFile, Proxy: c.Proxy,
	}
	s.t.Cleanup(client.Close)
	return client
}

type record struct {
	Attempts   int
	Events     []Event
	Terminated []string
	Refused    []string
}

func (s *Server) record(count int, timeout time.Duration) (found record) {
	s.t.Helper()
	path := fmt.Sprintf("%s/events?count=%d&timeout_ms=%d", s.path, count, timeout.Milliseconds())
	ask(s.t, "GET", path, nil, timeout, &found)
	return found
}

// Events returns what was published, in order.
func (s *Server) Events() []Event {
	s.t.Helper()
	return s.record(0, 0).Events
}

// Terminated returns the users whose connections were terminated.
func (s *Server) Terminated() []string {
	s.t.Helper()
	return s.record(0, 0).Terminated
}

// Refused returns why the server refused requests: a wrong signature, an unknown path and so on.
func (s *Server) Refused() []string {
	s.t.Helper()
	return s.record(0, 0).Refused
}

// Attempts returns the number of requests, and of connections that failed before a request.
func (s *Server) Attempts() int {
	s.t.Helper()
	return s.record(0, 0).Attempts
}

// WaitFor waits until count events are published, and returns all events. If they are not within the timeout, the test fails.
func (s *Server) WaitFor(count int, timeout time.Duration) []Event {
	s.t.Helper()
	found := s.record(count, timeout)
	if len(found.Events) < count {
		s.t.Errorf("%d of %d events after %v. %s", len(found.Events), count, timeout, found)
	}
	return found.Events
}

// AssertTriggered checks that this event was published. The data is compared as JSON; Any fits all. After WaitFor, also what was
// published in the background is there.
func (s *Server) AssertTriggered(channel, event string, data any) {
	s.t.Helper()
	found := s.record(0, 0)
	for _, one := range found.Events {
		if one.fits(channel, event, data) {
			return
		}
	}
	wanted := fmt.Sprintf("%s on %s", event, channel)
	if data != Any {
		wanted += fmt.Sprintf(" with %v", data)
	}
	s.t.Errorf("%s was not published. %s", wanted, found)
}

// AssertNotTriggered checks that this event was not published, whatever its data.
func (s *Server) AssertNotTriggered(channel, event string) {
	s.t.Helper()
	found := s.record(0, 0)
	for _, one := range found.Events {
		if one.fits(channel, event, Any) {
			s.t.Errorf("%s was published. %s", one, found)
		}
	}
}

// FailNext makes the next attempts fail. A fault of a connection strikes the next new connection. Some faults need a server of their
// own: NewFaultyServer.
func (s *Server) FailNext(fault Fault) {
	s.t.Helper()
	ask(s.t, "PUT", s.path, fault.order(s.tls), 0, nil)
}

// Clear forgets the events so far, and the faults that have not struck yet.
func (s *Server) Clear() {
	s.t.Helper()
	s.FailNext(Fault{Name: "none"})
	ask(s.t, "DELETE", s.path+"/events", nil, 0, nil)
}

func (r record) String() string {
	events := make([]string, len(r.Events))
	for i, event := range r.Events {
		events[i] = event.String()
	}
	seen := "Published: " + strings.Join(events, "; ") + "."
	if len(events) == 0 {
		seen = "Published: nothing."
	}
	for _, why := range r.Refused {
		seen += " A request was refused: " + why + "."
	}
	return seen
}

// The running program. Its standard input is a pipe that this process holds, so that it ends with this process.
var program struct {
	sync.Mutex
	port  int
	stdin *os.File
}

// control returns the control port.
func control() (int, error) {
	program.Lock()
	defer program.Unlock()
	if program.port != 0 {
		return program.port, nil
	}
	path := os.Getenv("PUSHER_TESTSERVER")
	if path == "" {
		path = "pusher-testserver"
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer theirs.Close()
	command := exec.Command(path)
	command.Stdin = theirs
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %w", path, err)
	}
	var ready struct{ Control int }
	if err := json.Unmarshal(line, &ready); err != nil {
		return 0, err
	}
	program.port, program.stdin = ready.Control, ours
	return program.port, nil
}

func ask(t testing.TB, method, path string, body any, patience time.Duration, into any) {
	t.Helper()
	if err := asked(method, path, body, patience, into); err != nil {
		t.Fatalf("pusher-testserver: %v", err)
	}
}

func asked(method, path string, body any, patience time.Duration, into any) error {
	port, err := control()
	if err != nil {
		return err
	}
	text := []byte{}
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), bytes.NewReader(text))
	if err != nil {
		return err
	}
	// No goroutine of a kept connection may outlive the test.
	request.Close = true
	client := http.Client{Timeout: time.Minute + patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		if json.Unmarshal(said, &refusal) != nil {
			refusal.Error = string(said)
		}
		return fmt.Errorf("%s", refusal.Error)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(said, into)
}
