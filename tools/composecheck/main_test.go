package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFindsWhatIsBroken(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := check(root, content); err != nil {
		t.Fatalf("compose.yaml itself: %v", err)
	}
	// Each case breaks the file in one place.
	for name, c := range map[string]struct{ old, broken, want string }{
		"MisspeltKey":          {"depends_on: *ready", "depend_on: *ready", "depend_on"},
		"MisspeltCondition":    {"nats: { condition: service_healthy }", "nats: { condition: service_helthy }", "condition"},
		"UnknownDependency":    {"nats: { condition: service_healthy }", "nuts: { condition: service_healthy }", `undefined service "nuts"`},
		"WrongCondition":       {"migrate: { condition: service_completed_successfully }", "migrate: { condition: service_healthy }", "waits for migrate"},
		"ConditionTooWeak":     {"postgres: { condition: service_healthy }", "postgres: { condition: service_started }", "waits for postgres"},
		"UnknownVolume":        {"nats:/data", "nuts:/data", "undefined volume nuts"},
		"PortOpenToAll":        {"127.0.0.1:8080:8080", "8080:8080", "port 8080 is published"},
		"PortOfNobody":         {"127.0.0.1:8080:8080", "127.0.0.1:8080:80", "publishes port 80"},
		"NoHealthcheck":        {"test: [CMD, saver, healthcheck]", "disable: true", "has no healthcheck"},
		"NoneAsHealthcheck":    {"test: [CMD, redis-cli, -e, ping]", "test: [NONE]", "has no healthcheck"},
		"ShellThatIsNotThere":  {"[CMD, saver, healthcheck]", "[CMD-SHELL, saver healthcheck]", "saver has no command"},
		"UnknownVariable":      {"GATEWAY_ADDR:", "GATEWAY_ADDRESS:", "GATEWAY_ADDRESS"},
		"VariableOfAnother":    {"ADMIN_ADDR: 0.0.0.0:9090", "SESSION_IDLE: 1h", "SESSION_IDLE"},
		"AddressOfItself":      {"0.0.0.0:9091", "127.0.0.1:9091", "cannot be reached"},
		"UnknownServer":        {"redis://redis:", "redis://radish:", "names no service"},
		"UnknownCommand":       {"[saver, migrate]", "[saver, migrat]", "no command"},
		"UnknownProgram":       {"command: [gateway]", "command: [getaway]", "no program"},
		"HealthcheckOfAnother": {"[CMD, gateway, healthcheck]", "[CMD, saver, healthcheck]", "gateway has no command"},
		"NoSuchFile":           {"./nats.conf:", "./nuts.conf:", "nuts.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(string(content), c.old, c.broken, 1)
			if broken == string(content) {
				t.Fatalf("compose.yaml has no %q any more", c.old)
			}
			if err := check(root, []byte(broken)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
