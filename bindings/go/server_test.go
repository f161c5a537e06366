package pusher_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// The fault server of tools/fault-server, started once: a server that fails on request, and says what it really did.
var faults struct {
	CA      string `json:"ca"`
	Control int    `json:"control"`
	Key     string `json:"key"`
	Secret  string `json:"secret"`
}

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		serve()
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	log.SetOutput(io.Discard) // net/http logs responses that the fault server makes strange on purpose
	path := os.Getenv("FAULT_SERVER")
	if path == "" {
		fmt.Fprintln(os.Stderr, "FAULT_SERVER is not set: scripts/bindings/go.sh runs these tests with all they need")
		return 1
	}
	server := exec.Command(path)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe() // closing it ends the server
	if err != nil {
		panic(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Wait()
	defer stdin.Close()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(line, &faults); err != nil {
		panic(err)
	}
	return m.Run()
}

// listener is one port of the fault server.
type listener struct {
	Port int `json:"port"`
}

// attempt is the ledger's entry for a request.
type attempt struct {
	Connection int              `json:"connection"`
	Applied    []map[string]any `json:"applied"`
}

func control(t testing.TB, method, path string, body, into any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", faults.Control, path), bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode/100 != 2 {
		t.Fatalf("the fault server answers %d: %s", answer.StatusCode, said)
	}
	if into != nil {
		if err := json.Unmarshal(said, into); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
}

// listen opens a port with a fault, which is the body of POST /listen.
func listen(t testing.TB, fault any) listener {
	t.Helper()
	var opened listener
	control(t, "POST", "/listen", fault, &opened)
	t.Cleanup(func() { control(t, "DELETE", fmt.Sprintf("/listen/%d", opened.Port), nil, nil) })
	return opened
}

func (l listener) attempts(t testing.TB) []attempt {
	t.Helper()
	var ledger struct {
		Attempts []attempt `json:"attempts"`
	}
	control(t, "GET", fmt.Sprintf("/listen/%d", l.Port), nil, &ledger)
	return ledger.Attempts
}

// applied returns every event that the server has published, in order.
func (l listener) applied(t testing.TB) []map[string]any {
	t.Helper()
	events := []map[string]any{}
	for _, attempt := range l.attempts(t) {
		events = append(events, attempt.Applied...)
	}
	return events
}

// client returns a client for this port.
func (l listener) client(t testing.TB) *pusher.Client {
	client := &pusher.Client{AppID: "4711", Key: faults.Key, Secret: faults.Secret, Host: "127.0.0.1", Port: l.Port, Insecure: true}
	t.Cleanup(client.Close)
	return client
}

// healthy returns a port without faults.
func healthy(t testing.TB) listener {
	t.Helper()
	return listen(t, map[string]any{"fault": "none"})
}

// unreachable is a port on which nothing listens.
var unreachable = listener{Port: 1}

func once(fault string) map[string]any { return map[string]any{"fault": fault} }
