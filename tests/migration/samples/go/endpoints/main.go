// Serves the endpoints of a website: authorization, sign-in and webhooks. It asks them itself, and sends nothing to a server.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/ioutil"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/pusher/pusher-http-go/v5"
)

var client = pusher.Client{
	AppID:               "4711",
	Key:                 "key",
	Secret:              "secret",
	Cluster:             "eu",
	EncryptionMasterKey: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
}

func answer(res http.ResponseWriter, response []byte, err error) {
	if err != nil {
		http.Error(res, err.Error(), http.StatusForbidden)
		return
	}
	fmt.Fprint(res, string(response))
}

func authorize(res http.ResponseWriter, req *http.Request) {
	params, _ := ioutil.ReadAll(req.Body)
	response, err := client.AuthorizePrivateChannel(params)
	answer(res, response, err)
}

func join(res http.ResponseWriter, req *http.Request) {
	params, _ := ioutil.ReadAll(req.Body)
	member := pusher.MemberData{UserID: "7", UserInfo: map[string]string{"desk": "4"}}
	member.UserInfo["name"] = "Zoe"
	response, err := client.AuthorizePresenceChannel(params, member)
	answer(res, response, err)
}

func signIn(res http.ResponseWriter, req *http.Request) {
	params, _ := ioutil.ReadAll(req.Body)
	user := map[string]interface{}{"id": "7", "name": "Zoe"}
	response, err := client.AuthenticateUser(params, user)
	answer(res, response, err)
}

// JSONP, for browsers of long ago.
func jsonp(res http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	callback := query.Get("callback")
	query.Del("callback")
	response, err := client.AuthenticatePrivateChannel([]byte(query.Encode()))
	if err != nil {
		panic(err)
	}
	res.Header().Set("Content-Type", "application/javascript; charset=utf-8")
	fmt.Fprintf(res, "%s(%s);", callback, string(response))
}

func hook(res http.ResponseWriter, req *http.Request) {
	body, _ := ioutil.ReadAll(req.Body)
	webhook, err := client.Webhook(req.Header, body)
	if err != nil {
		http.Error(res, "not ours", http.StatusUnauthorized)
		return
	}
	for _, event := range webhook.Events {
		fmt.Fprint(res, event.Name, " ", event.Channel, " ", event.UserID)
	}
}

func post(handler http.HandlerFunc, target, body string, header http.Header) {
	req := httptest.NewRequest("POST", target, strings.NewReader(body))
	for name, values := range header {
		req.Header[name] = values
	}
	res := httptest.NewRecorder()
	handler(res, req)
	fmt.Println(res.Code, strings.TrimSpace(res.Body.String()))
}

func main() {
	post(authorize, "/", "socket_id=1234.5678&channel_name=private-orders", nil)
	post(authorize, "/", "socket_id=1234.5678&channel_name=private-encrypted-safe", nil)
	post(authorize, "/", "channel_name=private-orders", nil)
	post(join, "/", "socket_id=1234.5678&channel_name=presence-staff", nil)
	post(signIn, "/", "socket_id=1234.5678", nil)
	post(jsonp, "/?callback=done&socket_id=1234.5678&channel_name=private-orders", "", nil)

	body := fmt.Sprintf(`{"time_ms":%d,"events":[{"name":"member_added","channel":"presence-staff","user_id":"7"}]}`, time.Now().Unix()*1000)
	code := hmac.New(sha256.New, []byte(client.Secret))
	code.Write([]byte(body))
	header := http.Header{"X-Pusher-Key": {client.Key}, "X-Pusher-Signature": {hex.EncodeToString(code.Sum(nil))}}
	post(hook, "/", body, header)
	post(hook, "/", body+" ", header)

	// Only the credentials sign.
	small := pusher.Client{Key: client.Key, Secret: client.Secret}
	response, err := small.AuthenticatePresenceChannel([]byte("socket_id=1234.5678&channel_name=presence-staff"), pusher.MemberData{UserID: "7"})
	fmt.Println(string(response), err)
	if _, err := client.AuthorizePrivateChannel(nil); err == nil {
		os.Exit(1)
	}
}
