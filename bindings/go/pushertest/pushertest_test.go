package pushertest_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
	"github.com/libpusher/libpusher/bindings/go/pushertest"
)

// recorder collects what a failing assertion prints.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, values ...any) {
	r.said = append(r.said, fmt.Sprintf(format, values...))
}

func (r *recorder) Fatalf(format string, values ...any) {
	r.Errorf(format, values...)
	panic(r)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnEventHasAllThatWasPublished(t *testing.T) {
	server := pushertest.NewServer(t)
	client := server.Client()
	must(t, client.TriggerExclusive("a", "e", map[string]any{"k": 1}, "1.2"))
	must(t, client.SendToUser("7", "f", "text"))
	must(t, client.TerminateUserConnections("7"))
	want := []pushertest.Event{
		{Channel: "a", Name: "e", Text: `{"k":1}`, SocketID: "1.2"},
		{Channel: "#server-to-user-7", Name: "f", Text: "text", UserID: "7"},
	}
	if got := server.Events(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if got := server.Terminated(); !reflect.DeepEqual(got, []string{"7"}) || server.Attempts() != 3 || len(server.Refused()) != 0 {
		t.Errorf("got %v, %d attempts, refused %v", got, server.Attempts(), server.Refused())
	}
	server.AssertTriggered("a", "e", struct {
		K int `json:"k"`
	}{1})
	server.AssertTriggered("#server-to-user-7", "f", "text")
	server.Clear()
	if server.Attempts() != 0 {
		t.Errorf("%d attempts after Clear", server.Attempts())
	}
}

func TestWhatFailsSaysWhatWasPublished(t *testing.T) {
	said := &recorder{TB: t}
	server := pushertest.NewServer(said)
	client := server.Client()
	must(t, client.Trigger("a", "e", "x"))
	server.AssertTriggered("b", "e", pushertest.Any)
	server.AssertTriggered("a", "e", "y")
	server.AssertNotTriggered("a", "e")
	server.WaitFor(2, 50*time.Millisecond)
	server.AssertNotTriggered("a", "f")
	server.Clear()
	wrong := server.Client()
	wrong.Secret = "another"
	if wrong.Trigger("a", "e", "x") == nil {
		t.Error("a wrong signature is accepted")
	}
	server.AssertTriggered("a", "e", "x")
	want := []string{
		"e on b was not published. Published: e on a: x.",
		"e on a with y was not published. Published: e on a: x.",
		"e on a: x was published. Published: e on a: x.",
		"1 of 2 events after 50ms. Published: e on a: x.",
		"e on a with x was not published. Published: nothing. A request was refused: the signature is wrong.",
	}
	if !reflect.DeepEqual(said.said, want) {
		t.Errorf("said %q", said.said)
	}
}

func TestFaults(t *testing.T) {
	server := pushertest.NewServer(t)
	client := server.Client()
	client.Retry = pusher.Retry{Mode: "never"}
	server.FailNext(pushertest.Fault{Name: "status-403", Warm: 1, Times: 2})
	failed := []bool{}
	for i := 0; i < 4; i++ {
		failed = append(failed, client.Trigger("a", "e", i) != nil)
	}
	if !reflect.DeepEqual(failed, []bool{false, true, true, false}) {
		t.Errorf("failed: %v", failed)
	}
	server.FailNext(pushertest.Fault{Name: "late-answer", Times: -1, Params: map[string]any{"ms": 1}})
	must(t, client.Trigger("a", "late", 1))
	server.AssertTriggered("a", "late", 1)

	must(t, pushertest.NewFaultyServer(t, pushertest.Fault{Name: "none", TLS: true}).Client().Trigger("a", "e", 1))
	proxy := pushertest.NewFaultyServer(t, pushertest.Fault{Name: "proxy-interim-first"})
	must(t, proxy.Client().Trigger("a", "e", 1))
	proxy.AssertTriggered("a", "e", 1)

	said := &recorder{TB: t}
	defer func() {
		if recover() != said || !strings.Contains(said.said[0], `there is no fault "nonsense"`) {
			t.Errorf("said %v", said.said)
		}
	}()
	pushertest.NewFaultyServer(said, pushertest.Fault{Name: "nonsense"})
}

func TestOneCanWaitForWhatIsPublishedInTheBackground(t *testing.T) {
	server := pushertest.NewServer(t)
	client := server.Client()
	server.FailNext(pushertest.Fault{Name: "late-answer", Times: -1, Params: map[string]any{"ms": 100}})
	done := make(chan error)
	go func() { done <- client.Trigger("a", "e", 1) }()
	if got := server.WaitFor(1, time.Minute); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	must(t, <-done)
}
