package program

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

const healthcheckTimeout = 2 * time.Second

// Healthcheck asks a program on this machine, by the address its flags say,
// whether it runs. It is what the health check of a container calls: the image
// has no shell and no wget.
func Healthcheck(ctx context.Context, adminAddr string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("healthcheck: %w", err)
		}
	}()
	host, port, err := net.SplitHostPort(adminAddr)
	if err != nil {
		return err
	}
	// net.Dial takes the address of all interfaces for this machine.
	url := "http://" + net.JoinHostPort(cmp.Or(host, "0.0.0.0"), port) + "/healthz"
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
