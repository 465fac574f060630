"""Every figure of a design, from one form of log: a line for each result, with the camera's number, the capture and the
result in nanoseconds of one clock, the model's own time and CPU time, and the number of detections."""

MS = 1e6


def figures(results, begin_ns, end_ns, cameras):
    """The figures of what came between two moments. `results`: tuples as above."""
    within = [result for result in results if begin_ns <= result[2] < end_ns]
    if not within:
        raise ValueError("no result in the measured time")
    ages = sorted(result - capture for _, capture, result, *_ in within)
    invokes = sorted(invoke for *_, invoke, _, _ in within)
    rises, gaps = [], []
    for camera in range(cameras):
        its = sorted((result, capture) for number, capture, result, *_ in results if number == camera)
        rises += rises_of(its, begin_ns, end_ns)
        moments = [begin_ns, *(result for result, _ in its if begin_ns <= result < end_ns), end_ns]
        gaps.append(max(after - before for before, after in zip(moments, moments[1:])))
    time_ns = sum(peak - trough for trough, peak in rises)
    return {
        "results": len(within),
        "results_hz": len(within) / (end_ns - begin_ns) * 1e9,
        "aoi_p50_ms": quantile_of_time(rises, 0.5) / MS,
        "aoi_p99_ms": quantile_of_time(rises, 0.99) / MS,
        "aoi_mean_ms": sum((peak**2 - trough**2) / 2 for trough, peak in rises) / time_ns / MS,
        "age_p50_ms": quantile(ages, 0.5) / MS,
        "age_p99_ms": quantile(ages, 0.99) / MS,
        "gap_ms": max(gaps) / MS,
        "invoke_p50_ms": quantile(invokes, 0.5) / MS,
        "invoke_cpu_ms": sum(cpu for *_, cpu, _ in within) / MS,
        "detections": sum(detections for *_, detections in within) / len(within),
    }


def rises_of(results, begin_ns, end_ns):
    """From trough to peak: how the age of the newest inferred frame of one camera rose, from `begin_ns` to `end_ns`.
    `results`: (result, capture), ascending. A frame no newer than what is known brings nothing."""
    known_ns, at_ns, rises = None, begin_ns, []
    for result_ns, capture_ns in results:
        if result_ns >= end_ns:
            break
        if known_ns is not None and capture_ns <= known_ns:
            continue
        if result_ns >= begin_ns:
            # Where nothing was known, the age counts from the beginning.
            since_ns = begin_ns if known_ns is None else known_ns
            rises.append((at_ns - since_ns, result_ns - since_ns))
            at_ns = result_ns
        known_ns = capture_ns
    since_ns = begin_ns if known_ns is None else known_ns
    rises.append((at_ns - since_ns, end_ns - since_ns))
    return rises


def quantile_of_time(rises, share):
    """The age at or below which that share of all time was spent. Between two ends of rises, time passes as many ages at
    once as there are rises over both."""
    wanted = share * sum(peak - trough for trough, peak in rises)
    ends = sorted([(trough, 1) for trough, _ in rises] + [(peak, -1) for _, peak in rises])
    spent, over, before = 0.0, 0, 0
    for age, change in ends:
        step = over * (age - before)
        if over and spent + step >= wanted:
            return before + (wanted - spent) / over
        spent, over, before = spent + step, over + change, age
    return before


def quantile(ascending, share):
    """The least value that so many are at or below."""
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]


def phase_error_ms(results, phases_ms, interval_ns):
    """How far captures are from the phases that were asked for, at most. Phases are known but for one offset, which is the
    first camera's."""
    offset_ns, worst = None, 0
    for camera, phase_ms in enumerate(phases_ms):
        for number, capture, *_ in results:
            if number != camera:
                continue
            off = capture - phase_ms * MS
            offset_ns = off if offset_ns is None else offset_ns
            away = (off - offset_ns) % interval_ns
            worst = max(worst, min(away, interval_ns - away))
    return worst / MS


def check():
    """By hand: one camera, a result each 10 ns of a frame 5 ns old is at ages 5 to 15; a stale frame changes nothing."""
    results = [(0, at - 5, at, 2, 1, 1) for at in range(10, 101, 10)] + [(0, 40, 52, 2, 1, 1)]
    found = figures(results, 20, 80, 1)
    expected = {"results": 7, "aoi_p50_ms": 10 / MS, "aoi_mean_ms": 10 / MS, "aoi_p99_ms": 14.9 / MS, "gap_ms": 10 / MS}
    for key, value in expected.items():
        assert abs(found[key] - value) < 1e-9, (key, found[key], value)
    # Two cameras pooled: half of the time at 0 to 10, half at 90 to 100.
    pooled = [(0, 10), (90, 100)]
    assert [quantile_of_time(pooled, share) for share in (0.25, 0.5, 0.75)] == [5, 10, 95]
    assert [quantile([1, 2, 3, 4], share) for share in (0.25, 0.5, 0.99, 1)] == [1, 2, 4, 4]
    assert phase_error_ms([(0, 7), (1, 17), (1, 51)], [0, 1e-5], 33) == 1 / MS


if __name__ == "__main__":
    check()
