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

// Programs log and compare the texts of pusher-http-go's errors, which have no types. The functions of this file give an error the text that
// pusher-http-go has for the same mistake. Status, Argument and Message have the details.

const masterKey = "encryption_master_key_base64"

// setText replaces what Error returns.
func (e *Error) setText(text string) { e.text, e.isWholeText = text, true }

// prefixText makes Error return the text, a colon and the message.
func (e *Error) prefixText(text string) { e.text, e.isWholeText = text, false }

// wrong returns the error if it is about an argument of the call.
func wrong(err error) *Error {
	if err == nil {
		return nil // before the variable below, which is on the heap
	}
	var failed *Error
	if errors.As(err, &failed) && failed.HTTPStatus == 0 && failed.Argument != "" {
		return failed
	}
	return nil
}

// withTriggerText returns the error of a trigger with its text.
func withTriggerText(err error, channels []string) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.setCommonText()
	var index int
	isOne, _ := fmt.Sscanf(failed.Argument, "channels[%d]", &index)
	size, isTooLarge := failed.tooLarge()
	limit, hasLimit := failed.number(" channel names")
	switch {
	case failed.Argument == "data" && isTooLarge:
		failed.setText(fmt.Sprintf("Event payload exceeded maximum size (%d bytes is too much)", size))
	case !strings.HasPrefix(failed.Argument, "channels"):
	case hasLimit && len(channels) > limit:
		failed.setText(fmt.Sprintf("You cannot trigger on more than %d channels at once", limit))
	case isOne == 1 && len(channels) > 1 && index < len(channels) && strings.HasPrefix(channels[index], "private-encrypted-") && isChannel(channels[index]):
		failed.prefixText("You cannot trigger to multiple channels when using encrypted channels")
	case !areChannels(channels):
		failed.setText("At least one of your channels' names are invalid")
	}
	return err
}

// areChannels reports whether pusher-http-go accepts all names.
func areChannels(names []string) bool {
	for _, name := range names {
		if !isChannel(name) {
			return false
		}
	}
	return true
}

func isChannel(name string) bool {
	const more = "-_=@,.;"
	for index := 0; index < len(name); index++ {
		char := name[index]
		if char|0x20 >= 'a' && char|0x20 <= 'z' || char >= '0' && char <= '9' || strings.IndexByte(more, char) >= 0 {
			continue
		}
		return false
	}
	return name != "" && len(name) <= 200
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

// withBatchText returns the error of a batch with its text. name returns the channel of an event.
func withBatchText(err error, name func(index int) string) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.setCommonText()
	var index int
	if found, _ := fmt.Sscanf(failed.Argument, "events[%d]", &index); found == 0 {
		return err
	}
	switch size, isTooLarge := failed.tooLarge(); {
	case strings.HasSuffix(failed.Argument, ".data") && isTooLarge:
		failed.setText(fmt.Sprintf("Data of the event #%d in batch, exceeded maximum size (%d bytes is too much)", index, size))
	case strings.HasSuffix(failed.Argument, ".channel"):
		failed.prefixText(fmt.Sprintf("The channel named %s has a non-valid name", printable(name(index))))
	}
	return err
}

// withUserText returns the error of a call about a user with its text.
func withUserText(err error, userID string) error {
	if failed := wrong(err); failed != nil {
		failed.setCommonText()
		if failed.Argument == "user_id" {
			failed.prefixText(fmt.Sprintf("User id '%s' is invalid", printable(userID)))
		}
	}
	return err
}

// withUserDataText returns the error of a sign-in with its text. id is the member of the user data.
func withUserDataText(err error, id any) error {
	failed := wrong(err)
	if failed == nil {
		return err
	}
	failed.setCommonText()
	if failed.Argument == "user_data.id" {
		switch id := id.(type) {
		case nil:
			failed.setText("Missing id in user data")
		case string:
			failed.prefixText(fmt.Sprintf("Invalid id in user data: '%s'", printable(id)))
		default:
			failed.setText("id field in user data is not a string")
		}
	}
	return err
}

// setCommonText sets the texts of arguments that several calls have.
func (e *Error) setCommonText() {
	switch {
	case e.Argument == masterKey && e.Status == StatusEncryption:
		e.prefixText("No master encryption key supplied")
	case e.Argument == "socket_id" || strings.HasSuffix(e.Argument, ".socket_id"):
		e.prefixText("socket_id invalid")
	}
}

// withKeyText returns the error of a master key with its text.
func (c *Client) withKeyText(err error) error {
	failed := wrong(err)
	if failed == nil || failed.Argument != masterKey {
		return err
	}
	if c.EncryptionMasterKey != "" {
		failed.prefixText("EncryptionMasterKey must be 32 bytes")
	} else if _, wrong := base64.StdEncoding.DecodeString(c.EncryptionMasterKeyBase64); wrong != nil {
		failed.prefixText("EncryptionMasterKeyBase64 must be valid base64")
	} else {
		failed.prefixText("EncryptionMasterKeyBase64 must encode 32 bytes")
	}
	return err
}

// withWebhookText returns the error of a refused webhook with its text.
func withWebhookText(err error) error {
	if err == nil {
		return nil
	}
	var failed *Error
	if errors.As(err, &failed) && failed.Status == StatusWebhookInvalid {
		failed.prefixText("Invalid webhook")
	}
	return err
}

// responseText returns the text for a response that is a refusal: its first line, and what to check. For a 400 it is only the line, unless the event may
// have been delivered. It does not quote a 401, which repeats a wrong signature.
func (e *Error) responseText() string {
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
