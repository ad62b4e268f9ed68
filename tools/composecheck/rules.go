package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// publishedHere wants published ports to be closed to the network.
func publishedHere(_ *types.Project, service types.ServiceConfig) error {
	for _, port := range service.Ports {
		if port.HostIP != "127.0.0.1" {
			return fmt.Errorf("port %d is published on %q, want 127.0.0.1", port.Target, port.HostIP)
		}
	}
	if service.NetworkMode == "host" {
		return errors.New("network_mode host opens all of its ports")
	}
	return nil
}

// watched wants a health check of all that does not end by itself.
func watched(_ *types.Project, service types.ServiceConfig) error {
	switch {
	case hasHealthcheck(service) && oneShot(service):
		return errors.New("has a healthcheck and restart: no; which of the two?")
	case !hasHealthcheck(service) && !oneShot(service):
		return errors.New("has no healthcheck, nor restart: no")
	}
	return nil
}

func hasHealthcheck(service types.ServiceConfig) bool {
	check := service.HealthCheck
	return check != nil && !check.Disable && len(check.Test) > 1
}

func oneShot(service types.ServiceConfig) bool { return service.Restart == types.RestartPolicyNo }

// waitsRight wants services to wait for what the others can become: healthy,
// or done.
func waitsRight(project *types.Project, service types.ServiceConfig) error {
	for _, name := range slices.Sorted(maps.Keys(service.DependsOn)) {
		want := types.ServiceConditionHealthy
		if oneShot(project.Services[name]) {
			want = types.ServiceConditionCompletedSuccessfully
		}
		if got := service.DependsOn[name].Condition; got != want {
			return fmt.Errorf("waits for %s with %s, want %s", name, got, want)
		}
	}
	return nil
}

// mountsExist wants the files that are mounted to be there: the engine would
// make a directory instead.
func mountsExist(_ *types.Project, service types.ServiceConfig) error {
	for _, mount := range service.Volumes {
		if mount.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(mount.Source); err != nil {
			return fmt.Errorf("mounts: %w", err)
		}
		if !mount.ReadOnly {
			return fmt.Errorf("may write to %s of the checkout", mount.Source)
		}
	}
	return nil
}
