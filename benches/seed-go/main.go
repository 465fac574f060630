// Command seed-go measures the two designs of the experiment that Pinsight came from, written anew:
// an unbuffered channel with a fresh frame each, and preallocated frames in a drop-oldest ring of one
// for each camera, served in turn, with a coalesced wake-up.
//
// The cameras, the consumer and the figures are those of `pinsight-bench queue`: a frame is due at a
// fixed time whatever the program does, its latency runs from then to the end of its inference, and a
// frame that is due while its camera's goroutine is blocked is lost in the source.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type settings struct {
	cameras    int
	interval   time.Duration
	frameBytes int
	service    time.Duration
	measured   time.Duration
	warmUp     time.Duration
}

// Row has the keys of a row of `pinsight-bench queue --json`.
type Row struct {
	Design          string  `json:"design"`
	AoIP50          int64   `json:"aoi_p50_ns"`
	AoIP99          int64   `json:"aoi_p99_ns"`
	AoIMean         float64 `json:"aoi_mean_ns"`
	P50             int64   `json:"p50_ns"`
	P99             int64   `json:"p99_ns"`
	P999            int64   `json:"p999_ns"`
	Max             int64   `json:"max_ns"`
	AllocationsPerS float64 `json:"allocations_per_s"`
	BytesPerS       float64 `json:"bytes_per_s"`
	SwitchesPerS    float64 `json:"switches_per_s"`
	Results         int     `json:"results"`
	LongestGap      int64   `json:"longest_gap_ns"`
	CamerasServed   int     `json:"cameras_served"`
	LostInSource    int64   `json:"lost_in_source"`
	Evicted         int64   `json:"evicted"`
	Damaged         int     `json:"damaged"`
}

// frame is a captured picture; its first eight bytes say when it was due.
type frame struct {
	camera  int
	due     time.Duration
	payload []byte
}

// Times are durations since start, so that none needs an allocation.
var start = time.Now()

func now() time.Duration { return time.Since(start) }

func sleepUntil(at time.Duration) {
	for now() < at {
		time.Sleep(at - now())
	}
}

// expose writes the whole frame, as a driver's DMA or a capture copy does, and stamps it.
func expose(payload []byte, due time.Duration) {
	payload[0] = byte(due >> 16)
	for filled := 1; filled < len(payload); filled *= 2 {
		copy(payload[filled:], payload[:filled])
	}
	binary.LittleEndian.PutUint64(payload, uint64(due))
}

func isWhole(payload []byte, due time.Duration) bool {
	return binary.LittleEndian.Uint64(payload) == uint64(due) && payload[len(payload)-1] == byte(due>>16)
}

// run is one design's run: when it is measured, and what its cameras count.
type run struct {
	settings
	first      time.Duration
	begin, end time.Duration
	lost       atomic.Int64
	evicted    atomic.Int64
}

func (r *run) measures(at time.Duration) bool { return at >= r.begin && at < r.end }

// camera calls capture at each due time until the end; what was due meanwhile is lost.
func (r *run) camera(number int, capture func(due time.Duration)) {
	due := r.first + r.interval*time.Duration(number)/time.Duration(r.cameras)
	for due < r.end {
		sleepUntil(due)
		capture(due)
		for due += r.interval; due < now(); due += r.interval {
			if r.measures(due) {
				r.lost.Add(1)
			}
		}
	}
}

// consumer sums up what was judged.
type consumer struct {
	*run
	latencies []int64
	known     []time.Duration
	rises     []rise
	last      []time.Duration
	served    []bool
	gap       time.Duration
	damaged   int
}

// rise: the age of what is known of a camera grows as time does, from one result to the next.
type rise struct{ from, to time.Duration }

// ages: mean and quantiles over time of all rises within the measured time.
func ages(rises []rise) (p50, p99 int64, mean float64) {
	const step = 50 * time.Microsecond
	var counts []int64
	total, area := time.Duration(0), 0.0
	for _, r := range rises {
		total += r.to - r.from
		area += (float64(r.to)*float64(r.to) - float64(r.from)*float64(r.from)) / 2
		for int(r.to/step) >= len(counts) {
			counts = append(counts, 0)
		}
		for at := r.from / step; at < r.to/step; at++ {
			counts[at]++
		}
	}
	quantile := func(q float64) int64 {
		wanted, seen := q*float64(total/step), 0.0
		for at, count := range counts {
			seen += float64(count)
			if seen >= wanted {
				return int64(at) * int64(step)
			}
		}
		return 0
	}
	return quantile(0.5), quantile(0.99), area / float64(total)
}

// know: from result on, the newest judged frame of its camera is the one that was due then.
func (c *consumer) know(camera int, due, result time.Duration) {
	known := c.known[camera]
	if due <= known || result >= c.end {
		return
	}
	if result >= c.begin {
		c.rises = append(c.rises, rise{max(c.last[camera], c.begin) - known, result - known})
	}
	c.known[camera] = due
}

func max(a, b time.Duration) time.Duration {
	if a > b {
		return a
	}
	return b
}

func (c *consumer) judge(f *frame) {
	if !isWhole(f.payload, f.due) {
		c.damaged++
	}
	sleepUntil(now() + c.service)
	result := now()
	c.know(f.camera, f.due, result)
	if !c.measures(result) {
		return
	}
	c.latencies = append(c.latencies, int64(result-f.due))
	if gap := result - c.last[f.camera]; gap > c.gap {
		c.gap = gap
	}
	c.last[f.camera] = result
	c.served[f.camera] = true
}

// rendezvous: all cameras share one unbuffered channel, and allocate each frame anew.
func rendezvous(r *run, c *consumer) {
	frames := make(chan *frame)
	done := make(chan struct{})
	var cameras sync.WaitGroup
	for number := 0; number < r.cameras; number++ {
		number := number
		cameras.Add(1)
		go func() {
			defer cameras.Done()
			r.camera(number, func(due time.Duration) {
				f := &frame{number, due, make([]byte, r.frameBytes)}
				expose(f.payload, due)
				select {
				case frames <- f:
				case <-done:
				}
			})
		}()
	}
	end := time.After(r.end - now())
	for running := true; running; {
		select {
		case f := <-frames:
			c.judge(f)
		case <-end:
			running = false
		}
	}
	close(done)
	cameras.Wait()
}

// mailbox passes the newest of three preallocated frames: one is the camera's, one waits, one is the
// consumer's. The word is the waiting frame's number, and whether it is new.
type mailbox struct {
	frames  [3]frame
	waiting atomic.Uint32
	_       [40]byte
	mine    uint32
	_       [60]byte
	theirs  uint32
}

const fresh = 4

// ring: preallocated frames, a drop-oldest ring of one for each camera, round-robin, and one pending
// wake-up at most.
func ring(r *run, c *consumer) {
	boxes := make([]mailbox, r.cameras)
	wake := make(chan struct{}, 1)
	var cameras sync.WaitGroup
	for number := range boxes {
		box := &boxes[number]
		for i := range box.frames {
			box.frames[i] = frame{camera: number, payload: make([]byte, r.frameBytes)}
		}
		box.mine, box.theirs = 1, 2
		cameras.Add(1)
		number := number
		go func() {
			defer cameras.Done()
			r.camera(number, func(due time.Duration) {
				f := &box.frames[box.mine]
				f.due = due
				expose(f.payload, due)
				before := box.waiting.Swap(box.mine | fresh)
				box.mine = before &^ fresh
				if before&fresh != 0 && r.measures(due) {
					r.evicted.Add(1)
				}
				select {
				case wake <- struct{}{}:
				default:
				}
			})
		}()
	}
	end := time.After(r.end - now())
	turn := 0
	for running := true; running; {
		found := false
		for step := 0; step < r.cameras && !found; step++ {
			box := &boxes[(turn+step)%r.cameras]
			if box.waiting.Load()&fresh != 0 {
				box.theirs = box.waiting.Swap(box.theirs) &^ fresh
				turn += step + 1
				c.judge(&box.frames[box.theirs])
				found = true
			}
		}
		if now() >= r.end {
			break
		}
		if !found {
			select {
			case <-wake:
			case <-end:
				running = false
			}
		}
	}
	cameras.Wait()
}

func switches() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return int64(usage.Nvcsw) + int64(usage.Nivcsw)
}

func measure(s settings, name string, design func(*run, *consumer)) Row {
	runtime.GC()
	first := now() + 20*time.Millisecond
	r := &run{settings: s, first: first, begin: first + s.warmUp, end: first + s.warmUp + s.measured}
	c := &consumer{
		run:       r,
		latencies: make([]int64, 0, 2*int(s.measured/s.service)+64),
		known:     make([]time.Duration, s.cameras),
		rises:     make([]rise, 0, 2*int(s.measured/s.service)+64),
		last:      make([]time.Duration, s.cameras),
		served:    make([]bool, s.cameras),
	}
	for i := range c.last {
		c.last[i] = r.begin
		c.known[i] = first
	}
	var before, after runtime.MemStats
	var switched int64
	watched := make(chan struct{})
	go func() {
		sleepUntil(r.begin)
		runtime.ReadMemStats(&before)
		switched = switches()
		sleepUntil(r.end)
		switched = switches() - switched
		runtime.ReadMemStats(&after)
		close(watched)
	}()
	design(r, c)
	<-watched

	served := 0
	for camera, last := range c.last {
		if gap := r.end - last; gap > c.gap {
			c.gap = gap
		}
		if c.served[camera] {
			served++
		}
	}
	sort.Slice(c.latencies, func(i, j int) bool { return c.latencies[i] < c.latencies[j] })
	quantile := func(q float64) int64 {
		if len(c.latencies) == 0 {
			return 0
		}
		return c.latencies[int(q*float64(len(c.latencies)-1)+0.5)]
	}
	for camera, known := range c.known {
		c.rises = append(c.rises, rise{c.last[camera] - known, r.end - known})
	}
	p50, p99, mean := ages(c.rises)
	perS := 1 / s.measured.Seconds()
	return Row{
		Design:          name,
		AoIP50:          p50,
		AoIP99:          p99,
		AoIMean:         mean,
		P50:             quantile(0.5),
		P99:             quantile(0.99),
		P999:            quantile(0.999),
		Max:             quantile(1),
		AllocationsPerS: float64(after.Mallocs-before.Mallocs) * perS,
		BytesPerS:       float64(after.TotalAlloc-before.TotalAlloc) * perS,
		SwitchesPerS:    float64(switched) * perS,
		Results:         len(c.latencies),
		LongestGap:      int64(c.gap),
		CamerasServed:   served,
		LostInSource:    r.lost.Load(),
		Evicted:         r.evicted.Load(),
		Damaged:         c.damaged,
	}
}

func main() {
	cameras := flag.Int("cameras", 8, "cameras")
	fps := flag.Float64("fps", 30, "frames a second of each camera")
	frameBytes := flag.Int("frame-bytes", 1920*1080*3/2, "bytes of one frame; the default is 1080p NV12")
	serviceMs := flag.Float64("service-ms", 28.57, "milliseconds that the consumer sleeps for each frame")
	seconds := flag.Int("seconds", 10, "measured seconds of each design")
	file := flag.String("json", "", "write the figures as JSON")
	flag.Parse()
	if *cameras < 1 || *fps <= 0 || *frameBytes < 16 || *serviceMs <= 0 || *seconds < 1 {
		fmt.Fprintln(os.Stderr, "seed-go: every setting is above zero, and a frame has at least 16 bytes")
		os.Exit(2)
	}
	s := settings{
		cameras:    *cameras,
		interval:   time.Duration(1e9 / *fps),
		frameBytes: *frameBytes,
		service:    time.Duration(*serviceMs * 1e6),
		measured:   time.Duration(*seconds) * time.Second,
	}
	s.warmUp = time.Second/2 + s.service*time.Duration(s.cameras+2)
	rows := []Row{measure(s, "go-rendezvous", rendezvous), measure(s, "go-ring", ring)}

	fmt.Printf("%-14s %8s %8s %12s %8s %8s %8s %8s %8s %9s %10s %11s\n", "design (ms)", "AoI P50", "P99",
		"longest gap", "age P50", "P99", "P99.9", "max", "results", "allocs/s", "MB/s", "switches/s")
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	for _, row := range rows {
		fmt.Printf("%-14s %8.2f %8.2f %12.2f %8.2f %8.2f %8.2f %8.2f %8d %9.0f %10.2f %11.0f\n", row.Design,
			ms(row.AoIP50), ms(row.AoIP99), ms(row.LongestGap), ms(row.P50), ms(row.P99), ms(row.P999),
			ms(row.Max), row.Results, row.AllocationsPerS,
			row.BytesPerS/1e6, row.SwitchesPerS)
	}
	if *file == "" {
		return
	}
	report := map[string]any{"bench": "queue", "version": runtime.Version(), "rows": rows}
	text, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = os.WriteFile(*file, append(text, '\n'), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "seed-go:", err)
		os.Exit(7)
	}
}
