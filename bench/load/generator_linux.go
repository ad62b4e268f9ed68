package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Generator plays characters. They go on where they were from window to
// window. Its methods are for one goroutine.
type Generator struct {
	characters map[string][]character // by story, so that none disturbs another
}

// New returns a generator whose characters have done nothing yet.
func New() *Generator { return &Generator{characters: map[string][]character{}} }

// Run sends the requests of one window and returns when all are answered.
func (g *Generator) Run(ctx context.Context, w Window) (_ Result, err error) {
	w.FirstChar = max(1, w.FirstChar)
	steps := stories[w.Story]
	if steps == nil || w.Characters < 1 || w.Conns < 1 {
		return Result{}, fmt.Errorf("load: there is no story %q for %d characters over %d connections", w.Story, w.Characters, w.Conns)
	}
	if w.Zipf > 1 && slices.ContainsFunc(steps, func(s step) bool { return s.session }) {
		return Result{}, fmt.Errorf("load: the steps of %q follow one another, so characters cannot be hot", w.Story)
	}
	r := &run{
		window: w, steps: steps, characters: g.cast(w),
		dice:   dice{rand.New(rand.NewPCG(w.Seed, 0x10ad)), w.FirstChar, w.Characters},
		result: Result{Latencies: map[string][]time.Duration{}, Refused: map[int]int{}},
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if w.Zipf > 1 {
		r.zipf = rand.NewZipf(r.dice.Rand, w.Zipf, 1, uint64(w.Characters-1))
	}
	if err := r.open(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	if err := r.run(ctx); err != nil {
		return r.result, fmt.Errorf("load %s on %s: %w", w.Story, w.Addr, err)
	}
	return r.result, nil
}

// cast returns the characters of a story.
func (g *Generator) cast(w Window) []character {
	key := fmt.Sprintf("%s %s %d", w.Addr, w.Story, w.FirstChar)
	for i := len(g.characters[key]); i < w.Characters; i++ {
		g.characters[key] = append(g.characters[key], character{id: w.FirstChar + int64(i)})
	}
	cast := g.characters[key][:w.Characters]
	for i := range cast {
		cast[i].busy, cast[i].taken = false, 0
	}
	return cast
}

// run is one window on its way.
type run struct {
	window     Window
	steps      []step
	characters []character
	dice       dice
	zipf       *rand.Zipf // nil for an even choice
	result     Result

	epoll, timer int // file descriptors
	conns        []conn
	free         []int // connections without a request; the last used is taken first
	start        time.Time
	schedule     *schedule // nil in a closed loop
	underWay     int
	cursor       int // of characters that are taken in turn
	path, body   []byte
	key          []byte
	events       [128]unix.EpollEvent
}

// conn is a connection and the request that is under way on it.
type conn struct {
	fd    int
	char  *character
	step  *step
	due   time.Duration // since start
	out   []byte
	in    []byte
	inLen int
}

// timerMark tells the timer from the connections, which have their index.
const timerMark = -1

func (r *run) open() (err error) {
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if r.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	if err := r.watch(r.timer, timerMark); err != nil {
		return err
	}
	addr, err := net.ResolveTCPAddr("tcp4", r.window.Addr)
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: addr.Port}
	copy(to.Addr[:], addr.IP.To4())
	for i := range r.window.Conns {
		c := conn{in: make([]byte, 16<<10)}
		if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		r.conns = append(r.conns, c)
		r.free = append(r.free, i)
		if err := r.connect(c.fd, i, to); err != nil {
			return fmt.Errorf("connect to %s: %w", r.window.Addr, err)
		}
	}
	return nil
}

func (r *run) connect(fd, index int, to unix.Sockaddr) error {
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	return r.watch(fd, int32(index))
}

// watch is edge-triggered, so that the timer needs no read.
func (r *run) watch(fd int, mark int32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: mark}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func (r *run) close() error {
	var errs []error
	for i := range r.conns {
		errs = append(errs, unix.Close(r.conns[i].fd))
	}
	for _, fd := range []int{r.timer, r.epoll} {
		if fd > 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

func (r *run) run(ctx context.Context) error {
	r.start = time.Now()
	if r.window.Rate > 0 {
		r.schedule = newSchedule(r.window.Rate, rand.New(rand.NewPCG(r.window.Seed, 0xa1)))
	}
	for {
		sending, err := r.sendDue()
		if err != nil {
			return err
		}
		if !sending && r.underWay == 0 {
			r.result.Took = time.Since(r.start)
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if late := time.Since(r.start) - r.window.For; late > answerTimeout && !sending {
			return fmt.Errorf("%d requests are not answered %v after the end", r.underWay, answerTimeout)
		}
		if err := r.await(); err != nil {
			return err
		}
	}
}

// sendDue sends what is due, as far as there are connections. It reports
// whether there is more to send, now or later.
func (r *run) sendDue() (more bool, err error) {
	for {
		now := time.Since(r.start)
		due := now
		if r.schedule != nil {
			due = r.schedule.due
		}
		if due >= r.window.For {
			return false, nil
		}
		if due > now || len(r.free) == 0 {
			return true, nil
		}
		char := r.choose()
		if char == nil {
			return false, nil
		}
		if err := r.send(char, due); err != nil {
			return false, err
		}
		if r.schedule != nil {
			r.schedule.next()
		}
	}
}

// choose returns a character that waits for no answer, or one as the skew says;
// nil where none has anything left to do.
func (r *run) choose() *character {
	if r.zipf != nil {
		return &r.characters[r.zipf.Uint64()]
	}
	inTurn := r.window.Each > 0 || r.window.Finish
	if !inTurn {
		r.cursor = r.dice.IntN(len(r.characters))
	}
	for range len(r.characters) {
		c := &r.characters[r.cursor]
		if r.cursor++; r.cursor == len(r.characters) {
			r.cursor = 0
		}
		done := r.window.Finish && c.step == 0 || r.window.Each > 0 && c.taken == r.window.Each
		if !c.busy && !done {
			return c
		}
	}
	return nil
}

func (r *run) send(char *character, due time.Duration) error {
	c := &r.conns[r.free[len(r.free)-1]]
	r.free = r.free[:len(r.free)-1]
	c.char, c.step, c.due, c.inLen = char, &r.steps[char.step], due, 0
	char.busy = true
	r.path = c.step.appendPath(r.path[:0], char)
	r.body = r.body[:0]
	if c.step.body != nil {
		r.body = c.step.body(r.body, char, &r.dice)
	}
	r.key = r.key[:0]
	if c.step.keyed {
		r.key = appendUUID(r.key, &r.dice)
	}
	c.out = appendRequest(c.out[:0], c.step.method, r.path, r.key, r.body)
	n, err := unix.Write(c.fd, c.out)
	if err == nil && n < len(c.out) {
		err = fmt.Errorf("%d of %d bytes written", n, len(c.out))
	}
	r.underWay++
	if err != nil {
		return fmt.Errorf("send %s %s: %w", c.step.method, r.path, err)
	}
	return nil
}

// idleWait bounds a wait, so that the end of ctx is seen.
const idleWait = 100 * time.Millisecond

// await waits for answers, until the next request is due and could be sent.
func (r *run) await() error {
	wait := idleWait
	if r.schedule != nil && len(r.free) > 0 {
		wait = min(wait, r.schedule.due-time.Since(r.start))
	}
	// A value of zero would stop the timer.
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(wait)))}
	if err := unix.TimerfdSettime(r.timer, 0, &spec, nil); err != nil {
		return fmt.Errorf("set the timer: %w", err)
	}
	n, err := r.waitRaw()
	if err != nil {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for i := range n {
		if mark := r.events[i].Fd; mark != timerMark {
			if err := r.receive(int(mark)); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitRaw is epoll_wait without telling Go's scheduler, which would look every
// few microseconds whether the wait takes long, and take its place away.
// A collection of garbage has to wait for it: idleWait at most.
func (r *run) waitRaw() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll),
		uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), ^uintptr(0), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// receive reads what a connection has.
func (r *run) receive(index int) error {
	c := &r.conns[index]
	for {
		if c.inLen == len(c.in) {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
		n, err := unix.Read(c.fd, c.in[c.inLen:])
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if n == 0 {
			return errors.New("read an answer: the gateway has closed the connection")
		}
		c.inLen += n
		if c.char == nil {
			return fmt.Errorf("%w: nobody asked for %.200q", errAnswer, c.in[:c.inLen])
		}
		status, body, whole, err := readAnswer(c.in[:c.inLen])
		if err != nil {
			return err
		}
		if whole {
			// An answer that fits leaves nothing to read: no second call.
			r.answered(index, status, body)
			return nil
		}
	}
}

var saysHot = []byte(`"durability":"hot"`)

func (r *run) answered(index, status int, body []byte) {
	c := &r.conns[index]
	char, s := c.char, c.step
	c.char = nil
	r.free = append(r.free, index)
	r.underWay--
	char.busy = false
	char.taken++
	if status < 200 || status > 299 {
		r.result.Refused[status]++
		r.result.Refusal = string(body)
		char.step = 0
		return
	}
	latency := time.Since(r.start) - c.due
	r.result.Latencies[s.name] = append(r.result.Latencies[s.name], latency)
	if !s.quiet && bytes.Contains(body, saysHot) {
		r.result.Hot++
	}
	if s.session {
		copy(char.session[:], valueOf(body, "session_id"))
	}
	if char.step++; char.step == len(r.steps) {
		char.step = 0
		char.visits++
	}
}
