package main

import (
	"context"
	"errors"
	"time"

	"github.com/savepoint-games/savepoint/doctor"
	"github.com/savepoint-games/savepoint/internal/program"
)

type doctorCmd struct {
	program.Streams

	Monitor []string      `name:"nats-monitor-url" env:"NATS_MONITOR_URL" help:"Monitoring endpoints of the NATS servers, a comma list, as in http://127.0.0.1:8222: the only place that tells sync_interval."`
	Timeout time.Duration `name:"timeout" default:"10s" help:"How long to wait for what does not answer."`
	JSON    bool          `name:"json" help:"As JSON."`
}

// errCritical makes the command exit with 1; the report is printed already.
var errCritical = errors.New("something acknowledged could be lost: see what is critical")

// Run reads the settings of the servers and says what could be lost. It needs
// none of them to answer.
func (d doctorCmd) Run(ctx context.Context, c *cli, out *output) error {
	report := doctor.Judge(doctor.Read(ctx, doctor.Config{
		NATSURL: c.NATSURL, RedisURL: c.RedisURL, DatabaseURL: c.DatabaseURL,
		MonitorURLs: d.Monitor, Want: d.Topology(), PoolSize: poolSize, Timeout: d.Timeout,
	}))
	write := report.Print
	if d.JSON {
		write = report.JSON
	}
	if err := write(out.Out); err != nil {
		return err
	}
	if report.Count(doctor.Critical) > 0 {
		return errCritical
	}
	return nil
}
