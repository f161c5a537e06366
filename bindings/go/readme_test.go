package pusher_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const modulePath = "github.com/libpusher/libpusher/bindings/go"

// A block without a package is a part of a program: it has a client, and may return an error.
const surroundings = `package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

var _, _, _, _, _, _, _ = context.Background, errors.As, io.ReadAll, log.Println, http.Error, time.Now, pusher.Version

func sample(client *pusher.Client) error {
	%s
	return nil
}

func main() {}
`

// Makes the module of a program by the commands of its manual, beside a clone, and returns its folder.
func moduleOfTheManual(t *testing.T, manual, clone string) string {
	commands := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindStringSubmatch(manual)
	if commands == nil {
		t.Fatal("no commands")
	}
	folder := t.TempDir()
	if err := os.Symlink(clone, filepath.Join(folder, "libpusher")); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "-euc", commands[1])
	command.Dir = folder
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return filepath.Join(folder, "hello")
}

func TestTheSamplesOfTheGuidesRun(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	server := healthy(t)
	address := fmt.Sprintf("http://%s:%s@127.0.0.1:%d/apps/4711", faults.Key, url.QueryEscape(faults.Secret), server.Port)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	whole, parts := 0, 0
	for _, manual := range []string{"README.md", "../../docs/migrating.md"} {
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			code := block[1]
			program := strings.HasPrefix(code, "package main")
			if !program {
				code = fmt.Sprintf(surroundings, code)
			}
			folder := t.TempDir()
			files := map[string]string{"main.go": code}
			if program {
				folder = moduleOfTheManual(t, string(text), filepath.Join(here, "../.."))
			} else {
				files["go.mod"] = fmt.Sprintf("module sample\n\ngo 1.19\n\nrequire %[1]s v0.0.0\n\nreplace %[1]s => %[2]s\n", modulePath, here)
			}
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.Command("go", "vet", "-unreachable=false", ".")
			if program {
				command = exec.Command("go", "run", ".")
			}
			command.Dir = folder
			command.Env = append(os.Environ(), "PUSHER_URL="+address)
			said, err := command.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %s\n%s", manual, err, said, code)
			}
			if program {
				whole++
				same(t, "what it says", string(said), "delivered\n")
			} else {
				parts++
			}
		}
	}
	if whole != 1 || parts < 3 || len(server.applied(t)) != 1 {
		t.Errorf("%d programs, %d parts, %d events", whole, parts, len(server.applied(t)))
	}
}
