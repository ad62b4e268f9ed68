package live

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metricsTimeout bounds one question to a program.
const metricsTimeout = 5 * time.Second

// Metric adds up all series of a metric that a program shows at its admin
// address, whatever their labels. A metric that it does not show is 0.
func Metric(ctx context.Context, adminAddr, name string) (sum float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+adminAddr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read metric %s: %w", name, err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, ok := valueOf(lines.Text(), name); ok {
			sum += value
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metric %s: %w", name, err)
	}
	return sum, nil
}

// valueOf reads "name 3" and "name{label="x"} 3".
func valueOf(line, name string) (float64, bool) {
	rest, ok := strings.CutPrefix(line, name)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
		return 0, false
	}
	value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
	return value, err == nil
}
