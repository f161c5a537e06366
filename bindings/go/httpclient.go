package pusher

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"runtime/cgo"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// sender sends signed requests by HTTPClient.
type sender struct {
	http        http.Client
	maxResponse int64
}

// newSender returns a sender that follows no redirect: the POST would become a GET, which succeeds and publishes nothing.
func newSender(given *http.Client, maxResponse int64) *sender {
	if given == nil {
		return nil
	}
	own := *given
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &sender{own, maxResponse}
}

// newFan keeps the settings of a client. They must not refer to its state: a cycle would keep the core from being collected.
func newFan(settings Client) *fan {
	settings.state = nil
	return &fan{settings: settings}
}

// fan is a second client of the library, which sends each request by a callback: for calls that may take several requests, as pusher_prepare
// makes only one, and for all calls of a client with a circuit breaker, which refuses no prepared request.
type fan struct {
	settings Client
	mutex    sync.Mutex // guards client
	client   *C.Pusher
}

// open returns the client, which the first call makes.
func (f *fan) open(op operation, with *sender) (*C.Pusher, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.client != nil {
		return f.client, nil
	}
	settings := f.settings
	if !settings.environment { // which accepts no other settings
		settings.Retry.Mode, settings.Extra = "never", without(settings.Extra, "retry")
	}
	made, failed := settings.makeWithLog()
	if failed == nil {
		// The library owns the handle from here on, even if it fails.
		if status := C.bridge_set_transport(made, C.uintptr_t(cgo.NewHandle(with))); status != C.PUSHER_STATUS_OK {
			C.pusher_free(made)
			failed = refusal(Status(status), failure{Message: "HTTPClient cannot be used for this call"}, nil)
		}
	}
	if failed != nil {
		failed.Delivery = op.delivery()
		return nil, failed
	}
	f.client = made
	return made, nil
}

func without(members map[string]any, name string) map[string]any {
	rest := make(map[string]any, len(members))
	for key, value := range members {
		if key != name {
			rest[key] = value
		}
	}
	return rest
}

//export libpusherGoSend
func libpusherGoSend(handle, ofCall C.uintptr_t, request *C.PusherRequest, response *C.PusherResponse) {
	with := cgo.Handle(handle).Value().(*sender)
	ctx := cgo.Handle(ofCall).Value().(context.Context)
	// On another goroutine, as for libpusherGoLog. A transport that panics may have sent the request.
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		with.exchange(ctx, request, response)
	}()
	<-done
}

// send makes a call through the HTTP client: the library signs the request and interprets the response.
func (c *core) send(ctx context.Context, f *frame) ([]byte, error) {
	prepared := C.bridge_prepare(f.op.code, c.client, f.base(), f.at, f.buffer(), C.size_t(len(f.answer)))
	if _, err := f.take(prepared.answer); err != nil {
		return nil, err
	}
	signed := (*C.PusherRequest)(prepared.handle)
	defer C.pusher_request_free(signed)
	response := C.pusher_response_new()
	defer C.pusher_response_free(response)
	c.sender.exchange(ctx, signed, response)
	return f.take(C.bridge_finish(c.client, signed, response, f.buffer(), C.size_t(len(f.answer))))
}

// exchange sends a request and fills in the library's response.
func (s *sender) exchange(ctx context.Context, signed *C.PusherRequest, response *C.PusherResponse) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(C.pusher_request_timeout_ms(signed))*time.Millisecond)
	defer cancel()
	// Without a connection nothing was sent. Trust that only if the transport reports connections at all.
	var asked, connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	fail := func(err error) {
		delivery := DeliveryUnknown
		if asked.Load() && !connected.Load() {
			delivery = DeliveryNotSent
		}
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which contains the signature
		}
		failed(response, delivery, cause(err), err.Error())
	}

	var length C.size_t
	start := C.pusher_request_body(signed, &length)
	body := unsafe.Slice((*byte)(unsafe.Pointer(start)), int(length))
	// A copy: net/http may still read it after it returned.
	request, err := http.NewRequestWithContext(ctx, C.GoString(C.pusher_request_method(signed)), C.GoString(C.pusher_request_url(signed)),
		bytes.NewReader(append([]byte(nil), body...)))
	if err != nil {
		failed(response, DeliveryNotSent, "transport", "the request could not be made")
		return
	}
	var name, value *C.char
	for index := C.size_t(0); C.pusher_request_header(signed, index, &name, &value) == 1; index++ {
		request.Header.Set(C.GoString(name), C.GoString(value))
	}
	request.Header.Set("Accept-Encoding", "identity")

	answer, err := s.http.Do(request)
	if err != nil {
		fail(err)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, s.maxResponse+1))
	var at *C.uint8_t
	if len(text) > 0 {
		at = (*C.uint8_t)(unsafe.Pointer(&text[0]))
	}
	C.pusher_response_set(response, C.int32_t(answer.StatusCode), at, C.size_t(len(text)))
	if err != nil {
		failed(response, DeliveryUnknown, cause(err), err.Error())
		return
	}
	for name, values := range answer.Header {
		for _, value := range values {
			setHeader(response, name, value)
		}
	}
	switch {
	case len(answer.TransferEncoding) > 0:
		setHeader(response, "Transfer-Encoding", answer.TransferEncoding[0])
	case answer.ProtoMajor >= 2 && answer.Header.Get("Content-Length") == "":
		// HTTP/2 frames mark the end of the body.
		setHeader(response, "Content-Length", strconv.Itoa(len(text)))
	}
}

func failed(response *C.PusherResponse, delivery Delivery, cause, message string) {
	causeC, messageC := C.CString(cause), C.CString(message)
	C.pusher_response_fail(response, C.int32_t(delivery), causeC, messageC)
	C.free(unsafe.Pointer(causeC))
	C.free(unsafe.Pointer(messageC))
}

func setHeader(response *C.PusherResponse, name, value string) {
	nameC, valueC := C.CString(name), C.CString(value)
	C.pusher_response_set_header(response, nameC, valueC)
	C.free(unsafe.Pointer(nameC))
	C.free(unsafe.Pointer(valueC))
}

// cause returns the library's name for the cause of an error.
func cause(err error) string {
	var (
		lookup    *net.DNSError
		operation *net.OpError
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		slow      net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &lookup):
		return "dns"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return "timeout"
	case errors.As(err, &record), errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &name),
		strings.Contains(err.Error(), "gave HTTP response"): // net/http has no type for it
		return "tls"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.As(err, &operation) && operation.Op == "dial":
		return "connect"
	case errors.As(err, &operation) && operation.Op == "write":
		return "write"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case strings.Contains(err.Error(), "malformed HTTP"): // net/http has no type for it
		return "malformed"
	}
	return "transport"
}
