package usage_test

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/usage"
)

// shell runs a script until the test ends and returns when it has printed a line.
func shell(t *testing.T, script string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

const work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"

func TestTimeOfEndedAndOfLivingChildrenCounts(t *testing.T) {
	t.Parallel()
	groups := usage.Groups{
		"idle":   {shell(t, "echo up; read x; sleep 1000")},
		"ended":  {shell(t, "("+work+"); echo up; sleep 1000; :")},
		"living": {shell(t, "("+work+"; echo up; sleep 1000; :) & wait")},
		"itself": {shell(t, work+"; echo up; sleep 1000; :")},
	}

	times, err := usage.Sample(groups)

	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ended", "living", "itself"} {
		if times[name] <= times["idle"] || times[name] > time.Minute {
			t.Errorf("%s has taken %v, the idle one %v", name, times[name], times["idle"])
		}
	}
	if sum := times.Since(usage.Times{"itself": times["itself"]}).Total(); sum != times.Total()-times["itself"] {
		t.Errorf("%v since then, of %v", sum, times)
	}
}

func TestEndedProcessIsAnError(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := usage.Sample(usage.Groups{"gone": {cmd.Process.Pid}}); err == nil {
		t.Error("a process that is gone has a time")
	}
}

func TestPeakIsAtLeastWhatIsHeld(t *testing.T) {
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1 // so that it is resident
	}
	memory, err := usage.MemoryOf(os.Getpid())
	if err != nil || memory.Now < 64<<20 || memory.Peak < memory.Now {
		t.Fatalf("%+v, %v with 64 MB in hand", memory, err)
	}
	if held[5] == 0 {
		t.Fatal("unused")
	}
}
