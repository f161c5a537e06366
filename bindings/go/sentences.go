package pusher

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Programs log and compare the texts of pusher-http-go's errors, which have no types. This file says the same sentences of the same mistakes. Status,
// Argument and Message say more.

const masterKey = "encryption_master_key_base64"

func (e *Error) say(sentence string) { e.sentence, e.whole = sentence, true }

// begin puts the sentence before the message.
func (e *Error) begin(sentence string) { e.sentence, e.whole = sentence, false }

// wrong returns the error if an argument of the call is wrong.
func wrong(err error) *Error {
	var failed *Error
	if errors.As(err, &failed) && failed.HTTPStatus == 0 && failed.Argument != "" {
		return failed
	}
	return nil
}

// saidOfTrigger adds what pusher-http-go says of a call's error.
func saidOfTrigger(err error, channels []string) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.saidOfAll()
	limit, hasLimit := failed.number(" channel names")
	size, isTooLarge := failed.tooLarge()
	switch argument := failed.Argument; {
	case argument == "data" && isTooLarge:
		failed.say(fmt.Sprintf("Event payload exceeded maximum size (%d bytes is too much)", size))
	case !strings.HasPrefix(argument, "channels"):
	case hasLimit:
		if len(channels) > limit {
			failed.say(fmt.Sprintf("You cannot trigger on more than %d channels at once", limit))
		}
	case strings.Contains(failed.Message, "is end-to-end encrypted"):
		failed.begin("You cannot trigger to multiple channels when using encrypted channels")
	case isName(failed.Message):
		failed.say("At least one of your channels' names are invalid")
	}
	return err
}

// number returns the number before a word in the message.
func (e *Error) number(word string) (int, bool) {
	before, _, found := strings.Cut(e.Message, word)
	number, err := strconv.Atoi(before[strings.LastIndexByte(before, ' ')+1:])
	return number, found && err == nil
}

// tooLarge returns the size of data that exceeds its own limit, not that of the whole request.
func (e *Error) tooLarge() (size int, is bool) {
	size, is = e.number(" bytes")
	return size, is && e.Status == StatusPayloadTooLarge && !strings.Contains(e.Message, "max_request_bytes")
}

// isName reports whether a message is about the characters or the length of a name.
func isName(message string) bool {
	for _, problem := range []string{": contains ", ": is too long: ", ": must not be empty", ": has a NUL byte", "UTF-8"} {
		if strings.Contains(message, problem) {
			return true
		}
	}
	return false
}

func saidOfBatch(err error, name func(index int) string) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.saidOfAll()
	var index int
	if found, _ := fmt.Sscanf(failed.Argument, "events[%d]", &index); found == 0 {
		return err
	}
	switch size, isTooLarge := failed.tooLarge(); {
	case strings.HasSuffix(failed.Argument, ".data") && isTooLarge:
		failed.say(fmt.Sprintf("Data of the event #%d in batch, exceeded maximum size (%d bytes is too much)", index, size))
	case strings.HasSuffix(failed.Argument, ".channel"):
		failed.begin(fmt.Sprintf("The channel named %s has a non-valid name", printable(name(index))))
	}
	return err
}

func saidOfUser(err error, userID string) error {
	if failed := wrong(err); failed != nil {
		failed.saidOfAll()
		if failed.Argument == "user_id" {
			failed.begin(fmt.Sprintf("User id '%s' is invalid", printable(userID)))
		}
	}
	return err
}

func saidOfUserData(err error, id any) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.saidOfAll()
	if failed.Argument == "user_data.id" {
		switch id := id.(type) {
		case nil:
			failed.say("Missing id in user data")
		case string:
			failed.begin(fmt.Sprintf("Invalid id in user data: '%s'", printable(id)))
		default:
			failed.say("id field in user data is not a string")
		}
	}
	return err
}

// saidOfAll is for arguments that several calls have.
func (e *Error) saidOfAll() {
	switch {
	case e.Argument == masterKey && e.Status == StatusEncryption:
		e.begin("No master encryption key supplied")
	case e.Argument == "socket_id" || strings.HasSuffix(e.Argument, ".socket_id"):
		e.begin("socket_id invalid")
	}
}

// saidOfKey adds what is wrong with the master key.
func (c *Client) saidOfKey(err error) error {
	failed := wrong(err)
	if failed == nil || failed.Argument != masterKey {
		return err
	}
	if c.EncryptionMasterKey != "" {
		failed.begin("EncryptionMasterKey must be 32 bytes")
	} else if _, wrong := base64.StdEncoding.DecodeString(c.EncryptionMasterKeyBase64); wrong != nil {
		failed.begin("EncryptionMasterKeyBase64 must be valid base64")
	} else {
		failed.begin("EncryptionMasterKeyBase64 must encode 32 bytes")
	}
	return err
}

// saidOfWebhook is for each reason to refuse a webhook.
func saidOfWebhook(err error) error {
	var failed *Error
	if errors.As(err, &failed) && failed.Status == StatusWebhookInvalid {
		failed.begin("Invalid webhook")
	}
	return err
}

// saidOfStatus quotes the response. Of a 400 that is all: of other statuses the message says what to check, and perhaps that the event may have been
// delivered. The response to a wrong signature repeats it, so a 401 is not quoted.
func (e *Error) saidOfStatus() string {
	code := strconv.Itoa(e.HTTPStatus)
	advice := strings.TrimPrefix(e.Message, "the server answered "+code+": ")
	line, _, _ := strings.Cut(strings.TrimSpace(e.Response), "\n")
	if line == "" || e.HTTPStatus == http.StatusUnauthorized {
		return "Status Code: " + code + " (" + advice + ")"
	}
	quoted := "Status Code: " + code + " - " + printable(strings.TrimSpace(line))
	if e.HTTPStatus == http.StatusBadRequest && e.Delivery != DeliveryUnknown {
		return quoted
	}
	// The message of a 4xx ends with the response.
	return quoted + " (" + strings.TrimSuffix(advice, ": "+line) + ")"
}

// printable returns the beginning of a text in a form that cannot change a log.
func printable(text string) string {
	const most = 200
	if utf8.ValidString(text) && utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	for _, char := range text {
		if char == utf8.RuneError || !unicode.IsPrint(char) {
			quoted := strconv.Quote(text)
			return quoted[1 : len(quoted)-1]
		}
	}
	return text
}
