package pusher_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// The table of docs/errors.md has each status once, with its code and name.
func TestTheTableOfErrorsHasEachStatus(t *testing.T) {
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Go\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string][2]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Status\\w+)` \\| (\\d+) \\| `(\\w+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(section, -1) {
		documented[row[1]] = [2]string{row[2], row[3]}
	}
	names := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if value, is := node.(*ast.ValueSpec); is && strings.HasPrefix(value.Names[0].Name, "Status") && value.Names[0].Name != "StatusOK" {
			names[value.Names[0].Name] = true
		}
		return true
	})
	known := map[string]pusher.Status{}
	for status := pusher.Status(1); status < 256; status++ {
		if name := status.String(); name != "?" {
			known[fmt.Sprint(int(status))+name] = status
		}
	}
	for name := range names {
		row, is := documented[name]
		if !is {
			t.Errorf("%s is not in the table", name)
		} else if _, is := known[row[0]+row[1]]; !is {
			t.Errorf("%s is not %s, %s", name, row[0], row[1])
		} else if written := strings.ToUpper(regexp.MustCompile("([a-z])([A-Z])").ReplaceAllString(strings.TrimPrefix(name, "Status"), "${1}_$2")); written != row[1] {
			t.Errorf("%s is not %s", name, row[1])
		}
	}
	if len(documented) != len(names) || len(known) != len(names) {
		t.Errorf("%d rows, %d constants, %d statuses of the library", len(documented), len(names), len(known))
	}
}
