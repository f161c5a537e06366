package pusher

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"sync"
	"time"
)

// Status is the result of a call. New values may be added: treat an unknown one by its range. 1 to 19: the call was wrong; 20 to 39: the network
// failed; 40 to 59: the server refused; 60 to 79: signatures and encryption; 80 to 99: the publisher.
//
// Compare errors with a Status: errors.Is(err, pusher.StatusRateLimited).
type Status int32

const (
	StatusOK              Status = C.PUSHER_STATUS_OK               // for events: delivered
	StatusInvalidArgument Status = C.PUSHER_STATUS_INVALID_ARGUMENT // Error.Argument names it; nothing was sent
	StatusInvalidConfig   Status = C.PUSHER_STATUS_INVALID_CONFIG   // Error.Argument names the key
	StatusInvalidState    Status = C.PUSHER_STATUS_INVALID_STATE    // calls in the wrong order, such as after Close
	StatusNotSent         Status = C.PUSHER_STATUS_NOT_SENT         // the request's last byte was not sent: not delivered
	StatusDeliveryUnknown Status = C.PUSHER_STATUS_DELIVERY_UNKNOWN // sent completely, but no valid response arrived
	StatusBadResponse     Status = C.PUSHER_STATUS_BAD_RESPONSE     // a response that cannot be read
	StatusBadRequest      Status = C.PUSHER_STATUS_BAD_REQUEST      // 400, or another 4xx
	StatusUnauthorized    Status = C.PUSHER_STATUS_UNAUTHORIZED     // 401: the key, the secret or the clock is wrong
	StatusForbidden       Status = C.PUSHER_STATUS_FORBIDDEN        // 403: the application is disabled or over its quota
	StatusNotFound        Status = C.PUSHER_STATUS_NOT_FOUND        // 404
	StatusPayloadTooLarge Status = C.PUSHER_STATUS_PAYLOAD_TOO_LARGE
	StatusRateLimited     Status = C.PUSHER_STATUS_RATE_LIMITED // 429: retry later
	StatusServerError     Status = C.PUSHER_STATUS_SERVER_ERROR // any 5xx: it may have been delivered
	StatusRedirected      Status = C.PUSHER_STATUS_REDIRECTED   // any 3xx: never followed
	StatusPartial         Status = C.PUSHER_STATUS_PARTIAL      // the requests of a fan-out ended differently: see Error.Parts
	StatusWebhookInvalid  Status = C.PUSHER_STATUS_WEBHOOK_INVALID
	StatusEncryption      Status = C.PUSHER_STATUS_ENCRYPTION // no master key, or a payload that cannot be decrypted
	StatusQueueFull       Status = C.PUSHER_STATUS_QUEUE_FULL
	StatusClosed          Status = C.PUSHER_STATUS_CLOSED    // the publisher is closed
	StatusTimedOut        Status = C.PUSHER_STATUS_TIMED_OUT // the time was up first
	StatusForked          Status = C.PUSHER_STATUS_FORKED    // the publisher belongs to the parent process
	StatusInternal        Status = C.PUSHER_STATUS_INTERNAL  // a bug in libpusher: please report it
)

// String returns the status's name, such as "NOT_SENT", or "?" if the library does not know it.
func (s Status) String() string { return C.GoString(C.pusher_status_name(C.int32_t(s))) }

// Error implements error, so that a Status can be the target of errors.Is.
func (s Status) Error() string { return "pusher: " + s.String() }

// The loaded library's statuses by name, for reports.
var (
	statusesByName = map[string]Status{}
	readStatuses   sync.Once
)

func statusByName(name string) Status {
	readStatuses.Do(func() {
		for status := Status(0); status <= StatusInternal; status++ {
			if name := status.String(); name != "?" {
				statusesByName[name] = status
			}
		}
	})
	if status, known := statusesByName[name]; known {
		return status
	}
	return StatusInternal
}

// Delivery is what happened to the events of a failed call.
type Delivery int32

const (
	DeliveryNone      Delivery = 0                           // the call delivers nothing: a query, a signature
	DeliveryNotSent   Delivery = C.PUSHER_DELIVERY_NOT_SENT  // the request's last byte was not sent: not delivered
	DeliveryRejected  Delivery = C.PUSHER_DELIVERY_REJECTED  // the server refused: not delivered
	DeliveryUnknown   Delivery = C.PUSHER_DELIVERY_UNKNOWN   // it may have been delivered; a retry may deliver it twice
	DeliveryDelivered Delivery = C.PUSHER_DELIVERY_DELIVERED // the server accepted it
)

var deliveryNames = [...]string{"", "not_sent", "rejected", "unknown", "delivered"}

// String returns the name in error documents, such as "not_sent", or "" for DeliveryNone.
func (d Delivery) String() string {
	if d < 0 || int(d) >= len(deliveryNames) {
		return "?"
	}
	return deliveryNames[d]
}

func deliveryByName(name string) Delivery {
	for delivery, known := range deliveryNames {
		if name == known {
			return Delivery(delivery)
		}
	}
	return DeliveryUnknown
}

// Error is the type of every error of this package. It never contains a secret, a signature or a payload.
type Error struct {
	Status   Status
	Message  string   // for people
	Delivery Delivery // what happened to the events; DeliveryNone if there were none

	Cause      string        // of a network failure: dns connect tls proxy write timeout reset closed malformed transport; or cancelled, circuit
	Retryable  bool          // the same call may succeed later, and delivers nothing twice
	Attempts   int           // the requests that were tried
	HTTPStatus int           // of the server's response, or 0
	Response   string        // the beginning of the response's body
	Argument   string        // which argument is wrong, such as "channels[3]"
	ServerCode string        // the member "code" of the response, such as sockudo's "feature_disabled"
	RetryAfter time.Duration // the server's Retry-After
	RateLimit  *RateLimit    // the server's X-RateLimit headers, or nil
	Reason     string        // why the publisher did not send the event: expired dropped superseded closed drained

	Parts []Part // after StatusPartial: how each request of the fan-out ended

	Document json.RawMessage // the library's error document

	text        string // of pusher-http-go's error for the same mistake, if it has one
	isWholeText bool   // Error returns only text: programs compare it
	wrapped     error
}

// Part is the result of one request of a fan-out.
type Part struct {
	Channels   []string
	Status     Status
	Delivery   Delivery
	Cause      string // as in Error
	HTTPStatus int    // of the server's response, or 0
}

// RateLimit has the figures of a server's X-RateLimit headers; nil for one that it did not send.
type RateLimit struct {
	Limit     *int64 `json:"limit"`     // the requests that are allowed in a period
	Remaining *int64 `json:"remaining"` // the requests that are left in this period
	Reset     *int64 `json:"reset"`     // when the next period begins: in seconds from now or since 1970, depending on the server
}

// Error returns the text of pusher-http-go's error for the same mistake, if it has one, and otherwise the message.
func (e *Error) Error() string {
	switch {
	case e.isWholeText:
		return e.text
	case e.text != "":
		return e.text + ": " + e.Message
	case e.HTTPStatus >= 300:
		return e.responseText()
	}
	return "pusher: " + e.Message
}

// Timeout reports whether the time was up, as net.Error does.
func (e *Error) Timeout() bool { return e.Cause == "timeout" || e.Status == StatusTimedOut }

// isCancelled reports whether the call was cancelled, or the requests of a fan-out from one of them on.
func (e *Error) isCancelled() bool {
	if e.Cause == "cancelled" {
		return true
	}
	for _, part := range e.Parts {
		if part.Cause == "cancelled" {
			return true
		}
	}
	return false
}

// Temporary reports Retryable, as net.Error does.
func (e *Error) Temporary() bool { return e.Retryable }

// Unwrap returns the underlying error: a context's, or encoding/json's.
func (e *Error) Unwrap() error { return e.wrapped }

// Is reports whether target is this error's Status.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// failure has the members of an error document and of a report.
type failure struct {
	ID           uint64          `json:"id,omitempty"`
	Status       string          `json:"status"`
	Message      string          `json:"message,omitempty"`
	Delivery     string          `json:"delivery,omitempty"`
	Cause        string          `json:"cause,omitempty"`
	Retryable    *bool           `json:"retryable,omitempty"`
	Attempts     int             `json:"attempts,omitempty"`
	HTTPStatus   int             `json:"http_status,omitempty"`
	Response     string          `json:"response,omitempty"`
	Argument     string          `json:"argument,omitempty"`
	ServerCode   string          `json:"server_code,omitempty"`
	RetryAfterMs int64           `json:"retry_after_ms,omitempty"`
	RateLimit    *RateLimit      `json:"rate_limit,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Answer       json.RawMessage `json:"answer,omitempty"`
	Parts        []part          `json:"parts,omitempty"`
}

// part has the members of one of the parts.
type part struct {
	Channels   []string `json:"channels"`
	Status     string   `json:"status"`
	Delivery   string   `json:"delivery"`
	Cause      string   `json:"cause,omitempty"`
	HTTPStatus int      `json:"http_status,omitempty"`
}

func (f *failure) parts() []Part {
	if len(f.Parts) == 0 {
		return nil
	}
	parts := make([]Part, 0, len(f.Parts))
	for _, p := range f.Parts {
		status, delivery := statusByName(p.Status), deliveryByName(p.Delivery)
		parts = append(parts, Part{Channels: p.Channels, Status: status, Delivery: delivery, Cause: p.Cause, HTTPStatus: p.HTTPStatus})
	}
	return parts
}

func (f *failure) error(status Status, document []byte) *Error {
	return &Error{
		Status:     status,
		Message:    f.Message,
		Delivery:   deliveryByName(f.Delivery),
		Cause:      f.Cause,
		Retryable:  f.Retryable != nil && *f.Retryable,
		Attempts:   f.Attempts,
		HTTPStatus: f.HTTPStatus,
		Response:   f.Response,
		Argument:   f.Argument,
		ServerCode: f.ServerCode,
		RetryAfter: time.Duration(f.RetryAfterMs) * time.Millisecond,
		RateLimit:  f.RateLimit,
		Reason:     f.Reason,
		Parts:      f.parts(),
		Document:   document,
	}
}

// fromDocument returns the Error for the library's error document.
func fromDocument(status Status, document []byte) *Error {
	var whole struct {
		Error failure `json:"error"`
	}
	if err := json.Unmarshal(document, &whole); err != nil {
		// There is no document.
		return &Error{Status: status, Message: status.String(), Document: document}
	}
	return whole.Error.error(status, document)
}

// refusal returns an error found on the Go side, in the form of the library's errors.
func refusal(status Status, said failure, wrapped error) *Error {
	said.Status = status.String()
	document, _ := json.Marshal(map[string]failure{"error": said})
	failed := said.error(status, document)
	failed.wrapped = wrapped
	return failed
}
