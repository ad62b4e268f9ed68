package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/internal/secret"
)

// varz is what we need of a NATS server's monitoring.
type varz struct {
	Name      string    `json:"server_name"`
	Now       time.Time `json:"now"`
	JetStream struct {
		Config *struct {
			MaxStore     int64         `json:"max_storage"`
			SyncInterval time.Duration `json:"sync_interval"` // nanoseconds
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
		Stats struct {
			Store int64 `json:"storage"`
		} `json:"stats"`
	} `json:"jetstream"`
}

// maxVarz is far above what a server with thousands of streams answers.
const maxVarz = 4 << 20

func readMonitor(ctx context.Context, base string) Monitor {
	m := Monitor{URL: secret.URLs(base)}
	var v varz
	m.Clock = readClock(func() (time.Time, error) {
		err := fetchVarz(ctx, strings.TrimRight(base, "/")+"/varz", &v)
		if err != nil {
			m.Err = secret.Err(err).Error()
		}
		return v.Now, err
	})
	if m.Err != "" {
		return m
	}
	m.Server = v.Name
	if v.JetStream.Config == nil {
		m.Err = "that server has no JetStream"
		return m
	}
	m.SyncInterval, m.SyncAlways = v.JetStream.Config.SyncInterval, v.JetStream.Config.SyncAlways
	if m.SyncInterval == 0 {
		m.SyncInterval = defaultSync
	}
	m.Max, m.Used = v.JetStream.Config.MaxStore, v.JetStream.Stats.Store
	return m
}

func fetchVarz(ctx context.Context, url string, v *varz) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A client of its own: no connection stays behind.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", secret.URLs(url), resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxVarz)).Decode(v); err != nil {
		return fmt.Errorf("GET %s: %w", secret.URLs(url), err)
	}
	return nil
}
