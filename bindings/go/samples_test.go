package pusher_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const officialPath = "github.com/pusher/pusher-http-go/v5"

// Programs in the style of the official README, with the import changed and unchanged.
func TestSamplesOfTheOfficialNamesRun(t *testing.T) {
	if os.Getenv("FAULTS") == "few" {
		t.Skip("FAULTS=few")
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := healthy(t), listen(t, map[string]any{"fault": "none", "tls": true})
	environment := append(os.Environ(),
		"APP_ID=4711", "KEY="+faults.Key, "SECRET="+faults.Secret, fmt.Sprintf("HOST=localhost:%d", secure.Port), "SSL_CERT_FILE="+faults.CA,
		fmt.Sprintf("SHOP_URL=http://%s:%s@127.0.0.1:%d/apps/4711", faults.Key, url.QueryEscape(faults.Secret), plain.Port))
	for sample, wanted := range map[string][]string{
		"publish": {
			"counted: 1", "counted: 2", "batch: shop false", "batch: news false", "the same application: true", "channel: shop false", "all: ", "some: ",
			"users: []", "At least one of your channels' names are invalid", "Event payload exceeded maximum size (20481 bytes is too much)", "no client: true",
		},
		"endpoints": {
			`200 {"auth":"key:f2e8b18f71a75f1debc4d667294291d101814a9da89ddb5a23e193f6a844499e"}`, `200 {"auth":"key:`, "403 socket_id not found", `200 {"auth":"key:`, `200 {"auth":"key:`,
			`200 done({"auth":"key:`, "200 member_added presence-staff 7", "401 not ours", `{"auth":"key:`,
		},
	} {
		code, err := os.ReadFile("../../tests/migration/samples/go/" + sample + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(code), officialPath) != 1 {
			t.Errorf("%s: not one import", sample)
		}
		for path, folders := range map[string]map[string]string{
			modulePath:   {modulePath: here},
			officialPath: {modulePath: here, officialPath: filepath.Join(filepath.Dir(here), "go-as-pusher")},
		} {
			module := fmt.Sprintf("module sample\n\ngo 1.19\n\nrequire %s v0.0.0\n", modulePath)
			if path == officialPath {
				module += fmt.Sprintf("require %s v5.1.1\n", path)
			}
			for name, folder := range folders {
				module += fmt.Sprintf("replace %s => %s\n", name, folder)
			}
			lines := program(t, module, strings.Replace(string(code), officialPath, path, 1), environment)
			if len(lines) != len(wanted) {
				t.Fatalf("%s, %s: %s", sample, path, strings.Join(lines, "\n"))
			}
			for index, line := range lines {
				if !strings.HasPrefix(line, wanted[index]) {
					t.Errorf("%s, %s: %q, not %q", sample, path, line, wanted[index])
				}
			}
		}
	}
}

// program runs a program of one file, after go vet, and returns the lines that it prints.
func program(t *testing.T, module, code string, environment []string) []string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"go.mod": module, "main.go": code} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said []byte
	for _, arguments := range [][]string{{"vet", "."}, {"run", "."}} {
		command := exec.Command("go", arguments...)
		command.Dir, command.Env = folder, environment
		var err error
		if said, err = command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v: %s", arguments[0], err, said)
		}
	}
	return strings.Split(strings.TrimSuffix(string(said), "\n"), "\n")
}
