package main

import (
	"slices"
	"strings"
	"testing"
)

func TestBuildIsAPathAnEnvironmentAndANumber(t *testing.T) {
	for text, want := range map[string]struct {
		path string
		env  []string
		many int
	}{
		".":                       {"", nil, 1},
		"/x/saver":                {"/x/saver", nil, 1},
		".*4":                     {"", nil, 4},
		"/x/saver@A=1,B=c/d*2":    {"/x/saver", []string{"A=1", "B=c/d"}, 2},
		"@SAVER_CATCH_UP=false":   {"", []string{"SAVER_CATCH_UP=false"}, 1},
		"../saver@NATS_URL=a@b:1": {"../saver", []string{"NATS_URL=a@b:1"}, 1},
	} {
		got, many, err := parseBuild(text)
		if err != nil || got.Path != want.path || !slices.Equal(got.Env, want.env) || many != want.many {
			t.Errorf("%q: %+v, %d at once, %v", text, got, many, err)
		}
	}
	for text, reason := range map[string]string{".*0": "above 0", ".*x": "above 0", "x@LANES": "NAME=VALUE"} {
		if _, _, err := parseBuild(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := contenders([]string{"bare", ".*2"}); err == nil || !strings.Contains(err.Error(), ".*2") {
		t.Errorf("two gateways at once: %v", err)
	}
}
