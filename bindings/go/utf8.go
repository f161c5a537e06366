package pusher

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"
)

// U+FFFD as encoding/json writes it for an invalid byte, and as itself.
const escape, character = `\ufffd`, "\uFFFD"

// replaced reports whether encoding/json wrote U+FFFD for a byte that is not UTF-8: two names or users could become one. It does not check text that
// encoding/json copies unchanged, as from a json.Marshaler: the library does.
func replaced(value any, encoded []byte) bool {
	if !bytes.Contains(encoded, []byte(escape)) && !bytes.Contains(encoded, []byte(character)) {
		return false
	}
	// The value may hold a U+FFFD itself, which encoding/json does not escape. Others may, in a json.RawMessage.
	given := given{}
	given.walk(reflect.ValueOf(value))
	return given.invalid || escapes(encoded) > given.escapes
}

// escapes counts the escapes of U+FFFD in JSON. A backslash before one is part of a text such as `\\ufffd`.
func escapes(encoded []byte) (count int) {
	for index := 0; index < len(encoded); index++ {
		if encoded[index] != '\\' {
			continue
		}
		if end := index + len(escape); end <= len(encoded) && strings.EqualFold(string(encoded[index:end]), escape) {
			count++
		}
		index++ // the escaped character
	}
	return count
}

// readText parses a string. encoding/json would read half a surrogate pair as U+FFFD, so that two ids could become one.
func readText(encoded []byte, into *string) error {
	if err := json.Unmarshal(encoded, into); err != nil {
		return err
	}
	if found := strings.Count(*into, character); found > 0 {
		found -= bytes.Count(encoded, []byte(character)) + escapes(encoded)
		if found > 0 {
			return errors.New("it has half a surrogate pair")
		}
	}
	return nil
}

// given counts what a value holds.
type given struct {
	invalid bool // a string or a key that is not UTF-8
	escapes int  // of U+FFFD, in each json.RawMessage
}

func (g *given) text(text string) { g.invalid = g.invalid || !utf8.ValidString(text) }

// walk visits what encoding/json visits. It ends, because encoding/json has ended before.
func (g *given) walk(value reflect.Value) {
	if kind := value.Kind(); kind == reflect.Interface || kind == reflect.Pointer {
		g.walk(value.Elem())
		return
	}
	if !value.IsValid() || g.writesItself(value) {
		return
	}
	switch value.Kind() {
	case reflect.String:
		g.text(value.String())
	case reflect.Array, reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return // base64
		}
		for index := 0; index < value.Len(); index++ {
			g.walk(value.Index(index))
		}
	case reflect.Map:
		for each := value.MapRange(); each.Next(); {
			if key := each.Key(); key.Kind() == reflect.String {
				g.text(key.String())
			} else {
				g.walk(key)
			}
			g.walk(each.Value())
		}
	case reflect.Struct:
		for index := 0; index < value.NumField(); index++ {
			field := value.Type().Field(index)
			if (field.IsExported() || field.Anonymous) && field.Tag.Get("json") != "-" {
				g.walk(value.Field(index))
			}
		}
	}
}

// writesItself reports whether encoding/json calls a method of the value, with its own receiver or with a pointer to it.
func (g *given) writesItself(value reflect.Value) bool {
	if value.CanAddr() {
		value = value.Addr()
	}
	if !value.CanInterface() {
		return false
	}
	switch own := value.Interface().(type) {
	case json.RawMessage:
		g.escapes += escapes(own)
	case *json.RawMessage:
		g.escapes += escapes(*own)
	case json.Marshaler:
	case encoding.TextMarshaler:
		if text, err := own.MarshalText(); err == nil {
			g.text(string(text))
		}
	default:
		return false
	}
	return true
}
