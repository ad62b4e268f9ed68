package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const healthcheckTimeout = 2 * time.Second

// Healthcheck asks a program on this machine, by the address its flags say,
// whether it runs. It is what the health check of a container calls: the image
// has no shell and no wget.
func Healthcheck(ctx context.Context, adminAddr string) error {
	if err := get(ctx, adminAddr, "/healthz"); err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	return nil
}

// AwaitReady asks a program on this machine until it has all that it requires, or ctx
// is done.
func AwaitReady(ctx context.Context, adminAddr string) error {
	for {
		err := get(ctx, adminAddr, "/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("ready: %w", err))
		}
	}
}

// get wants 200 from a path of a program.
func get(ctx context.Context, addr, path string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	// net.Dial takes the address of all interfaces for this machine.
	url := "http://" + net.JoinHostPort(cmp.Or(host, "0.0.0.0"), port) + path
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// Without the default transport, and so without HTTP_PROXY: a proxy would
	// answer for another machine.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}
