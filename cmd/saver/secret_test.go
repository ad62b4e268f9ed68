package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// What an operator sends to somebody has no password in it.
func TestNobodyIsToldPasswords(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cli){
		"away":          func(*cli) {},
		"no-nats-url":   func(c *cli) { c.NATSURL = "nats://saver:hush/hush@127.0.0.1:1" },
		"no-redis-url":  func(c *cli) { c.RedisURL = "redis://saver:hush/hush@127.0.0.1:1" },
		"redis-cluster": func(c *cli) { c.RedisURL = "redis+cluster://saver:hush%@127.0.0.1:1" },
	} {
		for command, run := range map[string]func(context.Context, *cli, *output) error{
			"list": dlqListCmd{}.Run, "verify": verifyCmd{Repair: true}.Run, "status": statusCmd{}.Run,
			"doctor": doctorCmd{Timeout: time.Second, Monitor: []string{"http://saver:hush@127.0.0.1:1"}}.Run,
		} {
			t.Run(name+"-"+command, func(t *testing.T) {
				t.Parallel()
				c := new(cli)
				c.NATSURL, c.RedisURL = "nats://saver:hush@127.0.0.1:1", "redis://saver:hush@127.0.0.1:1/0"
				c.DatabaseURL = "postgres://saver:hush@127.0.0.1:1/savepoint"
				change(c)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				out := new(bytes.Buffer)
				err := run(ctx, c, &output{Out: out, Err: out})
				if err == nil {
					t.Fatal("all servers are there")
				}
				if said := out.String() + err.Error(); strings.Contains(said, "hush") {
					t.Error(said)
				}
			})
		}
	}
}
