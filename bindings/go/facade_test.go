package pusher_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// The names of pusher-http-go 5.1.
var officialNames = []string{
	"Channel", "ChannelListItem", "ChannelParams", "ChannelsList", "ChannelsParams", "Client", "ClientFromEnv", "ClientFromURL", "Event", "MemberData",
	"TriggerBatchChannelListItem", "TriggerBatchChannelsList", "TriggerChannelListItem", "TriggerChannelsList", "TriggerParams", "User", "Users", "Webhook",
	"WebhookEvent",
}

// go-as-pusher has these names and no others, and its types are aliases: it has no code of its own.
func TestTheFacadeHasTheOfficialNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../go-as-pusher/pusher.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, declared := range file.Decls {
		switch declared := declared.(type) {
		case *ast.FuncDecl:
			found[declared.Name.Name] = len(declared.Body.List) == 1
		case *ast.GenDecl:
			for _, each := range declared.Specs {
				if alias, is := each.(*ast.TypeSpec); is {
					found[alias.Name.Name] = alias.Assign.IsValid()
				}
			}
		}
	}
	for _, name := range officialNames {
		if !found[name] {
			t.Errorf("no %s, or more than an alias", name)
		}
	}
	if len(found) != len(officialNames) {
		t.Errorf("%d names: %v", len(found), found)
	}
}
