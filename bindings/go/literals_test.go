package pusher

import "testing"

// Literals without names compile only while the structs have the fields of pusher-http-go, in its order. (In another package, go vet would ask for the
// names.)
func TestMigrationLiteralsWithoutNames(t *testing.T) {
	text, number := "1.2", 1
	params, event, member := TriggerParams{&text, nil}, Event{"c", "e", "x", nil, nil}, MemberData{"7", map[string]string{"a": "b"}}
	_, _ = ChannelsParams{&text, nil}, ChannelParams{nil}
	_, _ = TriggerChannelsList{map[string]TriggerChannelListItem{"c": {&number, nil}}}, TriggerBatchChannelsList{[]TriggerBatchChannelListItem{{nil, &number}}}
	_, _, _ = ChannelsList{map[string]ChannelListItem{"c": {1}}}, Channel{"c", true, 1, 1}, Users{[]User{{"7"}}}
	webhook := Webhook{1, []WebhookEvent{}}
	if params.SocketID != &text || event.Data != "x" || member.UserID != "7" || webhook.TimeMs != 1 {
		t.Error("another order")
	}
}
