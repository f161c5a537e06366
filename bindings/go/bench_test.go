package pusher_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// These benchmarks compare this package with crypto/hmac and net/http, used as in Pusher's SDK. scripts/bindings/go.sh prints the ratios.

func BenchmarkAuthorize(b *testing.B) {
	form := []byte("socket_id=1234.5678&channel_name=private-my-channel")
	b.Run("binding", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret"}
		defer client.Close()
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if _, err := client.AuthorizePrivateChannel(form); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("binding_without_form", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret"}
		defer client.Close()
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if _, err := client.AuthorizeChannel("private-my-channel", "1234.5678", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if _, err := authorizeAsTheSDKDoes("key", "secret", form); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAuthorizeInParallel(b *testing.B) {
	b.Run("binding", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret"}
		defer client.Close()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := client.AuthorizeChannel("private-my-channel", "1234.5678", nil); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("go", func(b *testing.B) {
		form := []byte("socket_id=1234.5678&channel_name=private-my-channel")
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := authorizeAsTheSDKDoes("key", "secret", form); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkTrigger(b *testing.B) {
	address := answering(b)
	payload := map[string]string{"message": "hello world"}
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	b.Run("binding", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret", Host: host, Port: number, Insecure: true}
		defer client.Close()
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if err := client.Trigger("my-channel", "my-event", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("binding_over_net_http", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret", Host: host, Port: number, Insecure: true, HTTPClient: &http.Client{}}
		defer client.Close()
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if err := client.Trigger("my-channel", "my-event", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go", func(b *testing.B) {
		sender := &http.Client{Timeout: 5 * time.Second}
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if err := triggerAsTheSDKDoes(sender, address, "1", "key", "secret", "my-channel", "my-event", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTriggerInParallel(b *testing.B) {
	address := answering(b)
	payload := map[string]string{"message": "hello world"}
	b.Run("binding", func(b *testing.B) {
		client := pusher.Client{AppID: "1", Key: "key", Secret: "secret", Host: address, Insecure: true}
		defer client.Close()
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := client.Trigger("my-channel", "my-event", payload); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("go", func(b *testing.B) {
		sender := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := triggerAsTheSDKDoes(sender, address, "1", "key", "secret", "my-channel", "my-event", payload); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkPublish(b *testing.B) {
	client := pusher.Client{AppID: "1", Key: "key", Secret: "secret", Host: answering(b), Insecure: true}
	defer client.Close()
	publisher, err := client.NewPublisher(pusher.PublisherConfig{Overflow: "block", Reports: "none"})
	if err != nil {
		b.Fatal(err)
	}
	defer publisher.Close()
	payload := map[string]string{"message": "hello world"}
	params := pusher.PublishParams{Timeout: time.Minute}
	channel := []string{"my-channel"}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n++ {
		if _, err := publisher.PublishWithParams(channel, "my-event", payload, params); err != nil {
			b.Fatal(err)
		}
	}
}

// answering starts a minimal server, which responds with {} to every request with a Content-Length. It runs in another process, so that it does
// not share a scheduler with the benchmark.
func answering(b *testing.B) string {
	b.Helper()
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), serveVariable+"=1")
	stdin, err := server.StdinPipe() // closing it ends the server
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stdin.Close(); _ = server.Wait() })
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(address)
}

const serveVariable = "PUSHER_BENCHMARK_SERVER"

func serve() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(server.Addr())
	go func() {
		for {
			connection, err := server.Accept()
			if err != nil {
				return
			}
			go answer(connection)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func answer(connection net.Conn) {
	defer connection.Close()
	text := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	reader := bufio.NewReaderSize(connection, 16<<10)
	for length := 0; ; {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("content-length")) {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(line) > len("\r\n") {
			continue
		}
		if _, err := reader.Discard(length); err != nil {
			return
		}
		if _, err := connection.Write(text); err != nil {
			return
		}
	}
}

var socketID = regexp.MustCompile(`\A\d+\.\d+\z`)

func authorizeAsTheSDKDoes(key, secret string, form []byte) ([]byte, error) {
	params, err := url.ParseQuery(string(form))
	if err != nil {
		return nil, err
	}
	channel, socket := params.Get("channel_name"), params.Get("socket_id")
	if !socketID.MatchString(socket) {
		return nil, fmt.Errorf("bad socket id")
	}
	return json.Marshal(map[string]string{"auth": key + ":" + sign(secret, socket+":"+channel)})
}

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func triggerAsTheSDKDoes(sender *http.Client, address, app, key, secret, channel, event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Name     string   `json:"name"`
		Channels []string `json:"channels"`
		Data     string   `json:"data"`
	}{event, []string{channel}, string(text)})
	if err != nil {
		return err
	}
	digest := md5.Sum(body)
	query := map[string]string{
		"auth_key": key, "auth_timestamp": strconv.FormatInt(time.Now().Unix(), 10), "auth_version": "1.0", "body_md5": hex.EncodeToString(digest[:]),
	}
	pairs := make([]string, 0, len(query))
	for name, value := range query {
		pairs = append(pairs, name+"="+value)
	}
	sort.Strings(pairs)
	path, joined := "/apps/"+app+"/events", strings.Join(pairs, "&")
	signature := sign(secret, "POST\n"+path+"\n"+joined)
	request, err := http.NewRequest("POST", "http://"+address+path+"?"+joined+"&auth_signature="+signature, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := sender.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 {
		return fmt.Errorf("%d: %s", response.StatusCode, answer)
	}
	return nil
}
