package pusher

// #cgo pkg-config: pusher
// #include "bridge.h"
import "C"

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// operation is a function of the library. If it has effects, errors found before the call have the delivery "not_sent".
type operation struct {
	code    C.int32_t
	effects bool
}

var (
	opTrigger      = operation{C.BRIDGE_TRIGGER, true}
	opTriggerBatch = operation{C.BRIDGE_TRIGGER_BATCH, true}
	opSendToUser   = operation{C.BRIDGE_SEND_TO_USER, true}
	opTerminate    = operation{C.BRIDGE_TERMINATE_USER_CONNECTIONS, true}
	opChannels     = operation{C.BRIDGE_CHANNELS_INFO, false}
	opChannel      = operation{C.BRIDGE_CHANNEL_INFO, false}
	opUsers        = operation{C.BRIDGE_USERS_INFO, false}
	opGet          = operation{C.BRIDGE_GET, false}
	opPost         = operation{C.BRIDGE_POST, true}
	opDelete       = operation{C.BRIDGE_DELETE, true}
	opAuthorize    = operation{C.BRIDGE_AUTHENTICATE, false}
	opAuthorizeAll = operation{C.BRIDGE_AUTHENTICATE_CHANNELS, false}
	opAuthenticate = operation{C.BRIDGE_AUTHENTICATE_USER, false}
	opWebhook      = operation{C.BRIDGE_VALIDATE_WEBHOOK, false}
	opStats        = operation{C.BRIDGE_CLIENT_STATS, false}
	opPublish      = operation{C.BRIDGE_PUBLISH, true}
	opRestore      = operation{C.BRIDGE_RESTORE, true}
	opNone         = operation{}
)

// frame holds one call's strings and the document that it returns. Both are Go memory that C uses only during the call.
type frame struct {
	op     operation
	texts  []byte
	at     C.BridgeTexts
	count  int
	failed *Error // the first invalid string
	answer []byte
}

const (
	answerSize  = 1024     // most documents fit
	largestKept = 64 << 10 // of strings: a huge payload must not stay in the pool
)

var frames = sync.Pool{New: func() any { return &frame{answer: make([]byte, answerSize)} }}

func newFrame(op operation) *frame {
	f := frames.Get().(*frame)
	f.op, f.texts, f.count, f.failed = op, f.texts[:0], 0, nil
	for i := range f.at.at {
		f.at.at[i] = -1 // NULL
	}
	return f
}

func (f *frame) free() {
	if cap(f.texts) <= largestKept {
		frames.Put(f)
	}
}

// delivery returns the delivery of an error found before the call.
func (o operation) delivery() Delivery {
	if o.effects {
		return DeliveryNotSent
	}
	return DeliveryNone
}

func (f *frame) delivery() Delivery { return f.op.delivery() }

func (f *frame) refuse(argument, message string, wrapped error) {
	if f.failed == nil {
		said := failure{Message: argument + ": " + message, Delivery: f.delivery().String(), Argument: argument}
		f.failed = refusal(StatusInvalidArgument, said, wrapped)
	}
}

// null omits the next string.
func (f *frame) null() { f.count++ }

func (f *frame) begin() {
	f.at.at[f.count] = C.int64_t(len(f.texts))
	f.count++
}

// end terminates the current string. In C a NUL ends the string, so a string that contains one is refused.
func (f *frame) end(argument string) {
	if bytes.IndexByte(f.texts[f.at.at[f.count-1]:], 0) >= 0 {
		f.refuse(argument, "has a NUL byte", nil)
	}
	f.texts = append(f.texts, 0)
}

func (f *frame) text(argument, value string) {
	f.begin()
	f.texts = append(f.texts, value...)
	f.end(argument)
}

// optional adds a string, or omits it if value is nil.
func (f *frame) optional(argument string, value *string) {
	if value == nil {
		f.null()
		return
	}
	f.text(argument, *value)
}

// body adds bytes with an explicit length, which may contain NULs.
func (f *frame) body(value []byte) {
	f.begin()
	f.texts = append(f.texts, value...)
	f.texts = append(f.texts, 0)
}

// json adds a value as JSON.
func (f *frame) json(argument string, value any) {
	f.begin()
	f.encode(argument, value)
	f.end(argument)
}

// channels adds one name as it is, or a JSON array of several.
func (f *frame) channels(names []string) {
	f.begin()
	defer f.end("channels")
	// The library parses a string that begins with a bracket as a JSON array: a name from outside must not become several names.
	if len(names) == 1 && !strings.HasPrefix(strings.TrimLeft(names[0], " \t\r\n"), "[") {
		f.texts = append(f.texts, names[0]...)
		return
	}
	f.texts = append(f.texts, '[')
	for index, name := range names {
		if index > 0 {
			f.texts = append(f.texts, ',')
		}
		f.texts = appendQuoted(f.texts, name)
	}
	f.texts = append(f.texts, ']')
}

// encode appends a value as JSON. It treats a []byte as a string, as Pusher's SDK does, and appends a json.RawMessage unchanged.
func (f *frame) encode(argument string, value any) {
	switch value := value.(type) {
	case string:
		f.texts = appendQuoted(f.texts, value)
	case []byte:
		f.texts = appendQuoted(f.texts, value)
	case json.RawMessage:
		if value == nil {
			value = json.RawMessage("null")
		}
		f.texts = append(f.texts, value...)
	default:
		// json.Marshal would escape < > & as six bytes each, which count towards the payload's limit.
		start := len(f.texts)
		encoder := json.NewEncoder(f)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			f.refuse(argument, "cannot be written as JSON: "+err.Error(), err)
			return
		}
		f.texts = bytes.TrimSuffix(f.texts, []byte("\n"))
		if replaced(value, f.texts[start:]) {
			f.refuse(argument, "has text that is not UTF-8", nil)
		}
	}
}

// Write implements io.Writer for encode.
func (f *frame) Write(text []byte) (int, error) {
	f.texts = append(f.texts, text...)
	return len(text), nil
}

// member appends a member of a JSON object that was begun with "{".
func (f *frame) member(argument, name string, value any) {
	if last := f.texts[len(f.texts)-1]; last != '{' {
		f.texts = append(f.texts, ',')
	}
	f.texts = appendQuoted(f.texts, name)
	f.texts = append(f.texts, ':')
	f.encode(argument, value)
}

// appendQuoted appends a JSON string. It keeps invalid UTF-8, which the library then refuses. encoding/json would replace it with U+FFFD, and
// the library would sign something else.
func appendQuoted[T string | []byte](to []byte, text T) []byte {
	const digits = "0123456789abcdef"
	to = append(to, '"')
	start := 0
	for index := 0; index < len(text); index++ {
		char := text[index]
		if char >= ' ' && char != '"' && char != '\\' {
			continue
		}
		to = append(to, text[start:index]...)
		start = index + 1
		switch char {
		case '"', '\\':
			to = append(to, '\\', char)
		case '\n':
			to = append(to, '\\', 'n')
		case '\r':
			to = append(to, '\\', 'r')
		case '\t':
			to = append(to, '\\', 't')
		default:
			to = append(to, '\\', 'u', '0', '0', digits[char>>4], digits[char&15])
		}
	}
	to = append(to, text[start:]...)
	return append(to, '"')
}

// options holds the members of the JSON object that is the last argument of most functions.
type options struct {
	socketID       *string
	info           *string
	userID         string // publisher only, like conflate
	conflate       string
	fanOut         bool
	idempotencyKey string
	members        map[string]any
	membersInClear bool
	timeout        time.Duration
	shorter        bool // timeout takes precedence over extra's
	extra          map[string]any
}

// fansOut reports whether the call may take several requests.
func (o *options) fansOut() bool { return o.fanOut || o.extra["fan_out"] == true }

func (f *frame) options(o *options) {
	isEmpty := o.socketID == nil && o.info == nil && o.userID == "" && o.conflate == "" && o.idempotencyKey == ""
	isEmpty = isEmpty && o.members == nil && !o.membersInClear
	if isEmpty && !o.fanOut && o.timeout == 0 && len(o.extra) == 0 {
		f.null()
		return
	}
	f.begin()
	f.texts = append(f.texts, '{')
	if o.socketID != nil {
		f.member("options", "socket_id", *o.socketID)
	}
	if o.info != nil {
		f.member("options", "info", *o.info)
	}
	if o.userID != "" {
		f.member("options", "user_id", o.userID)
	}
	if o.conflate != "" {
		f.member("options", "conflate", o.conflate)
	}
	if o.fanOut {
		f.member("options", "fan_out", true)
	}
	if o.idempotencyKey != "" {
		f.member("options", "idempotency_key", o.idempotencyKey)
	}
	if o.members != nil {
		f.member("options", "extra", o.members)
	}
	if o.membersInClear {
		f.member("options", "extra_in_clear", true)
	}
	if _, given := o.extra["timeout_ms"]; o.timeout != 0 && (o.shorter || !given) {
		f.member("options", "timeout_ms", milliseconds(o.timeout))
	}
	for name, value := range o.extra {
		if o.shorter && name == "timeout_ms" {
			continue
		}
		f.member("options", name, value)
	}
	f.texts = append(f.texts, '}')
	f.end("options")
}

// milliseconds rounds up, so that a positive duration is not 0.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// base returns the address of the strings. It makes sure that there is a byte to point at.
func (f *frame) base() *C.char {
	if len(f.texts) == 0 {
		f.texts = append(f.texts, 0)
	}
	return (*C.char)(unsafe.Pointer(&f.texts[0]))
}

func (f *frame) buffer() *C.char { return (*C.char)(unsafe.Pointer(&f.answer[0])) }

// take copies the document, or returns the error.
func (f *frame) take(answer C.BridgeAnswer) ([]byte, error) {
	document := f.answer[:0]
	if answer.text != nil {
		defer C.pusher_string_free(answer.text)
		document = unsafe.Slice((*byte)(unsafe.Pointer(answer.text)), int(answer.length))
	} else {
		document = f.answer[:answer.length]
	}
	own := append([]byte(nil), document...)
	if answer.status != C.PUSHER_STATUS_OK {
		return nil, fromDocument(Status(answer.status), own)
	}
	return own, nil
}

// lifetime frees a handle of the library once, after it is closed and its last call has ended.
type lifetime struct {
	users atomic.Int64 // negative once closed
	freed atomic.Bool
	free  func()
}

const closedUsers = -1 << 62

// enter reports whether the handle may be used until leave.
func (l *lifetime) enter() bool {
	if l.users.Add(1) > 0 {
		return true
	}
	l.leave()
	return false
}

func (l *lifetime) leave() {
	if l.users.Add(-1) == closedUsers {
		l.end()
	}
}

// close reports whether this call closed the handle.
func (l *lifetime) close() bool {
	for {
		users := l.users.Load()
		if users < 0 {
			return false
		}
		if l.users.CompareAndSwap(users, users+closedUsers) {
			if users == 0 {
				l.end()
			}
			return true
		}
	}
}

func (l *lifetime) end() {
	if l.mark() {
		l.free()
	}
}

// mark reports whether the caller must free the handle.
func (l *lifetime) mark() bool { return l.freed.CompareAndSwap(false, true) }

// local makes a call that uses no network.
func (c *core) local(f *frame, bodyLength int) ([]byte, error) {
	if f.failed != nil {
		return nil, f.failed
	}
	if !c.life.enter() {
		return nil, c.gone(f)
	}
	defer c.life.leave()
	client := c.client
	if f.op == opStats && c.sender != nil && c.breaks {
		var err error
		if client, err = c.fan.open(f.op, c.sender); err != nil {
			return nil, err
		}
	}
	return f.take(C.bridge_call(f.op.code, client, f.base(), f.at, C.size_t(bodyLength), f.buffer(), C.size_t(len(f.answer))))
}

func (c *core) gone(f *frame) *Error {
	return refusal(StatusInvalidState, failure{Message: "the client is closed", Delivery: f.delivery().String()}, nil)
}

// network makes a call that uses the network. It appends the options, because only now the remaining time is known.
func (c *core) network(ctx context.Context, f *frame, o options) ([]byte, error) {
	if f.failed != nil {
		return nil, f.failed
	}
	if !c.life.enter() {
		return nil, c.gone(f)
	}
	defer c.life.leave()
	limit := c.timeout
	given := number(o.extra["timeout_ms"]) // the library reports a wrong type
	if given > 0 {
		limit = time.Duration(given) * time.Millisecond
	} else if o.timeout != 0 {
		limit = o.timeout
	}
	client, holdsThread := c.client, c.sender == nil
	if c.sender != nil && (o.fansOut() || c.breaks) {
		var err error
		if client, err = c.fan.open(f.op, c.sender); err != nil {
			return nil, err
		}
		holdsThread = true
	}
	var waited time.Duration
	if err := ctx.Err(); err != nil {
		return nil, late(f.op, err)
	}
	if holdsThread {
		var err error
		if waited, err = c.slot(ctx, f, limit); err != nil {
			return nil, err
		}
		defer func() { <-c.slots }()
	}
	byContext := false
	if deadline, has := ctx.Deadline(); has {
		if left := time.Until(deadline); left < limit-waited {
			byContext, o.timeout = true, left
			if left <= 0 {
				return nil, late(f.op, context.DeadlineExceeded)
			}
		}
	}
	if !byContext && waited > 0 {
		if o.timeout = limit - waited; o.timeout <= 0 {
			return nil, late(f.op, context.DeadlineExceeded)
		}
	}
	o.shorter = given > 0 && (byContext || waited > 0)
	f.options(&o)
	if f.failed != nil {
		return nil, f.failed
	}
	var document []byte
	var err error
	if holdsThread {
		document, err = f.call(ctx, client, c.sender != nil)
	} else {
		document, err = c.send(ctx, f)
	}
	var failed *Error
	if errors.As(err, &failed) {
		if failed.isCancelled() {
			failed.wrapped = context.Canceled
		}
		if failed.Cause == "timeout" && byContext {
			failed.wrapped = context.DeadlineExceeded
		}
		if cancelled := ctx.Err(); cancelled != nil && !holdsThread {
			failed.wrapped = cancelled
		}
		if failed.Cause == "tls" && speaksPlainly(failed.Message) {
			failed.Message += " (if the server speaks plain HTTP, set Insecure: true)"
		}
	}
	return document, err
}

// call makes the call, and cancels it in the library when its context is cancelled. The library does not interrupt a transport, so that gets
// the context.
func (f *frame) call(ctx context.Context, client *C.Pusher, hasTransport bool) ([]byte, error) {
	if ctx.Done() != nil {
		if own := C.bridge_clone(client); own != nil {
			client = own
			defer C.pusher_free(own)
			defer cancelWith(ctx, own)()
		}
	}
	if hasTransport {
		handle := cgo.NewHandle(ctx)
		defer handle.Delete()
		return f.take(C.bridge_call_with(C.uintptr_t(handle), f.op.code, client, f.base(), f.at, f.buffer(), C.size_t(len(f.answer))))
	}
	return f.take(C.bridge_call(f.op.code, client, f.base(), f.at, 0, f.buffer(), C.size_t(len(f.answer))))
}

// cancelWith cancels the calls of a handle when the context is cancelled, until the returned function has returned. (The library keeps a
// context's deadline by itself, and reports it as a timeout.)
func cancelWith(ctx context.Context, handle *C.Pusher) (stop func()) {
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				C.pusher_cancel(handle)
			}
		case <-ended:
		}
	}()
	return func() {
		close(ended)
		<-stopped
	}
}

// speaksPlainly reports whether a handshake failed because the server's first bytes were not TLS.
func speaksPlainly(message string) bool {
	for _, sign := range []string{"InvalidContentType", "plain HTTP", "gave HTTP response"} {
		if strings.Contains(message, sign) {
			return true
		}
	}
	return false
}

// slot waits until the call may use a thread, and returns the time that it waited.
func (c *core) slot(ctx context.Context, f *frame, limit time.Duration) (time.Duration, error) {
	select {
	case c.slots <- struct{}{}:
		return 0, nil
	default:
	}
	start := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, late(f.op, ctx.Err())
	case <-timer.C:
		return 0, late(f.op, context.DeadlineExceeded)
	}
}

// late returns the error of a call that timed out or was cancelled before it sent anything.
func late(op operation, why error) *Error {
	said := failure{Message: why.Error(), Delivery: op.delivery().String()}
	if errors.Is(why, context.DeadlineExceeded) {
		said.Cause = "timeout"
	} else {
		said.Cause = "cancelled"
	}
	return refusal(StatusNotSent, said, why)
}
